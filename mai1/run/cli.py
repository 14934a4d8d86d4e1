"""`mai1 COMMAND [overrides]`: finds the command, imports only what it needs, and turns mistakes into one clear line.

Exit codes: 0 done, or saved on request; 1 a crash, with its traceback; 2 a mistake of the user's, in one line;
3 ranks that should hold the same weights do not; 4 training diverged and going back did not help; 5 a rank computes wrongly;
6 the nodes are not fit for a run; 130 Ctrl-C where there is nothing to save, or twice.
"""

import errno
import importlib
import json
import os
import sys
import time
from contextlib import redirect_stderr, suppress

from mai1.run.log_lines import LogLines
from mai1.watch.faults import DivergedError, FaultyRankError, ReplicasDifferError, UnfitNodesError

COMMANDS = {
    "prepare": "clean, filter, deduplicate and tokenize text into shards:    mai1 prepare",
    "tokenizer": "learn, compare, export tokenizers, look at pieces:           mai1 tokenizer train input=books output=tok",
    "mixture": "how much of each source: plan, sweep of small runs, fit:     mai1 mixture plan",
    "plan": "memory, time, cost and the best layout of a run:             mai1 plan model=mai1_500b devices=4096",
    "pretrain": "train a model on prepared shards:                            mai1 pretrain model=tiny run.name=first",
    "sft": "tune a model on instructions:                                mai1 sft checkpoint.init_from=runs/first",
    "align": "tune a model on better and worse answers:                    mai1 align checkpoint.init_from=runs/first-sft",
    "rehearse": "one rank of a run of any size, without its devices:          mai1 rehearse model=mai1_500b devices=512",
    "launch": "on one machine or thousands: Slurm, Kubernetes, Ray ...:     mai1 launch target=slurm command='pretrain ...'",
    "generate": "continue a prompt or answer a chat:                          mai1 generate checkpoint=runs/first prompt='Once'",
    "chat": "talk to a model in the terminal:                             mai1 chat checkpoint=runs/first-sft",
    "evaluate": "scores on tasks, held-out loss, answers to questions:        mai1 evaluate checkpoint=runs/first",
    "arena": "battles between models, a judge, ratings:                    mai1 arena 'checkpoints={a: runs/a, b: runs/b}'",
    "lint": "claims of a persona in what assistants say:                  mai1 lint data.jsonl",
    "score": "loss of each training token, to select by:                   mai1 score checkpoint=runs/reference data=DIR",
    "grow": "more experts: upcycle, add, split, clone, prune:             mai1 grow method=split checkpoint=runs/first",
    "inspect": "which experts a text goes to, as a page:                     mai1 inspect checkpoint=runs/first",
    "checkpoint": "show, verify, average, prune, prove against transformers:    mai1 checkpoint verify runs/first",
    "export": "weights, model card, proof and GGUF to hand on:              mai1 export checkpoint=runs/first output=release",
    "import": "a Hugging Face model as a checkpoint, all checked:           mai1 import checkpoint=HF_DIR output=DIR",
    "report": "write report.html of a run or a corpus:                      mai1 report runs/first",
    "preflight": "look at a job's nodes before it starts:                      mai1 preflight directory=runs/first",
    "status": "how runs are doing, from their files:                        mai1 status runs",
    "watch": "the same of one run, as it goes on:                          mai1 watch runs/first",
}

MAX_MESSAGE = 2000
"""Characters of a message; a file that somebody else made may put anything into one."""

MODULES = {"import": "import_checkpoint"}
"""Commands that are no names of modules in Python."""

NO_SPACE = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space or choose another disk")
NO_ACCESS = dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "allow it or choose another place")
NO_PLACE = dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP), "choose another place")
MENDS = NO_SPACE | NO_ACCESS | NO_PLACE
"""What a person does where the system refuses a file: a mistake in one line, and no crash."""

HELP = """mai1 trains mixture-of-experts language models end to end.

usage: mai1 COMMAND [key=value ...]

commands
{commands}

`mai1 COMMAND --help` lists every key with its meaning and default. Keys are Hydra overrides: group=option picks a file
under configs/ (model=small), a.b=value sets one value, ~a removes one, +a adds one where a key is optional.

options, before or after the command
  --help        this text
  --version     the version
  --traceback   show where in the code a mistake was noticed

The same command again goes on where an unfinished run stopped. On several processes, started again after a failure:
  mai1 pretrain engine.expert_parallel=2 launch.ranks=2
"""


def main(argv: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    arguments = [a for a in (sys.argv[1:] if argv is None else argv) if not a.startswith("--local_rank")]
    shows_traceback = "--traceback" in arguments
    arguments = [a for a in arguments if a != "--traceback"]
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(HELP.format(commands="\n".join(f"  {name:<11}{text}" for name, text in COMMANDS.items())))
        sys.exit(0)
    if arguments[0] == "--version":
        from mai1 import __version__

        print(__version__)
        sys.exit(0)
    if sys.stderr.isatty():
        sys.exit(_run(arguments[0], arguments[1:], shows_traceback=shows_traceback))
    with LogLines(sys.stderr) as lines, redirect_stderr(lines):
        sys.exit(_run(arguments[0], arguments[1:], shows_traceback=shows_traceback))


def _run(command: str, arguments: list[str], *, shows_traceback: bool) -> int:
    if command not in COMMANDS:
        return _mistake(f"{command!r} is no command: use one of {', '.join(COMMANDS)}")
    try:
        importlib.import_module(f"mai1.run.{MODULES.get(command, command)}").main(arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ValueError as error:
        if shows_traceback:
            raise
        return _mistake(" ".join(str(error).split()))
    except OSError as error:
        if error.errno not in MENDS or shows_traceback or (error.filename is None and error.errno not in NO_SPACE):
            raise
        return _mistake(f"{error}: {MENDS[error.errno]}, then run the same command again")
    except (ReplicasDifferError, DivergedError, FaultyRankError, UnfitNodesError) as fault:
        if shows_traceback:
            raise
        _say(str(fault), code=fault.exit_code)
        return fault.exit_code
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


def _mistake(message: str) -> int:
    _say(message, code=2)
    return 2


def _say(message: str, *, code: int) -> None:
    """One line, and a file for the launcher, if there is one: torchrun shows it, and nothing is started again."""
    rank = os.environ.get("RANK", "0")
    message = "".join(
        c if c.isprintable() else "\ufffd" for c in message
    )  # names of files may hold what a terminal obeys
    message = (
        message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE // 2]} ... {message[-MAX_MESSAGE // 2 :]}"
    )
    print(f"mai1: {'' if rank == '0' else f'[rank {rank}] '}{message}", file=sys.stderr, flush=True)
    if error_file := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        with suppress(OSError), open(error_file, "w", encoding="utf-8") as file:
            json.dump({"message": message, "timestamp": int(time.time()), "code": code}, file)
