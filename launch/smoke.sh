#!/usr/bin/env bash
# The whole path on real text that every machine with Python has, in about seven minutes on two CPU cores.
# usage: make smoke    (or: launch/smoke.sh with mai1 on the PATH)
set -euo pipefail
cd "$(dirname "$0")/.."

stage() { printf '\n== %s\n' "$*" >&2; }

rm -rf runs/smoke runs/smoke-sft

stage "1/8 prepare: text to shards, with a tokenizer and questions"
mai1 prepare output=data/smoke max_bytes=12000000 tokenizer.vocab_size=2000

stage "2/8 pretrain, stopped early"
mai1 pretrain experiment=smoke train.stop_after_steps=200

stage "3/8 pretrain, resumed by the same command"
mai1 pretrain experiment=smoke

stage "4/8 the checkpoint is a stock transformers model"
mai1 checkpoint prove runs/smoke

stage "5/8 tune on instructions"
mai1 sft experiment=smoke_sft

stage "6/8 ask"
mai1 generate checkpoint=runs/smoke-sft chat=true sampling.temperature=0 sampling.max_new_tokens=40 \
    prompt='What does `textwrap.shorten` do?'

stage "7/8 the tuned checkpoint is a stock transformers model too"
mai1 checkpoint prove runs/smoke-sft

stage "8/8 summary"
mai1 report runs/smoke
mai1 report runs/smoke-sft
