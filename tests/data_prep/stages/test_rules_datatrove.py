"""Gopher's and FineWeb's rules drop the same documents as datatrove's filters do, for the same reasons.

Where the two differ on purpose, the documents avoid it: blank lines are no lines here, and count there when bullets and
ellipses are counted; an n-gram that stands in a text once is no repetition here, and is there if it is long enough.
`RECORDED` is what `GopherQualityFilter`, `GopherRepetitionFilter` and `FineWebQualityFilter(char_duplicates_ratio=0.1)` of
datatrove 0.10.1 answered on the documents below, with `split_into_words` replaced by `str.split` in all three.
"""

import random

from data_prep.document import Document, Dropped
from data_prep.stages.basic import BasicConfig
from data_prep.stages.code import CodeConfig
from data_prep.stages.fineweb import FineWebConfig
from data_prep.stages.gopher import GopherConfig
from data_prep.stages.repetition import RepetitionConfig
from data_prep.stages.rules import RulesConfig, RulesStage

NAMES = {
    "gopher_short_doc": "gopher.few_words",
    "gopher_long_doc": "gopher.many_words",
    "gopher_below_avg_threshold": "gopher.short_words",
    "gopher_above_avg_threshold": "gopher.long_words",
    "gopher_too_many_hashes": "gopher.hashes",
    "gopher_too_many_ellipsis": "gopher.ellipses",
    "gopher_too_many_bullets": "gopher.bullet_lines",
    "gopher_too_many_end_ellipsis": "gopher.ellipsis_lines",
    "gopher_below_alpha_threshold": "gopher.few_letter_words",
    "gopher_enough_stop_words": "gopher.few_stop_words",
    "dup_para_frac": "repetition.paragraphs",
    "dup_para_char_frac": "repetition.paragraph_characters",
    "dup_line_frac": "repetition.lines",
    "dup_line_char_frac": "repetition.line_characters",
    **{f"top_{n}_gram": f"repetition.top_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"repetition.duplicate_{n}_grams" for n in range(5, 11)},
    "line_punct_ratio": "fineweb.few_line_ends",
    "short_line_ratio": "fineweb.short_lines",
    "char_dup_ratio": "fineweb.duplicated_lines",
    "list_ratio": "fineweb.list",
}
SYLLABLES = ["ka", "lo", "mi", "ne", "ru", "sta", "ter", "vo", "wen", "zul", "par", "dis", "con", "ment"]
STOPS = ["the", "be", "to", "of", "and", "that", "have", "with"]


def documents(family: str) -> list[str]:
    """Made-up prose, each text with habits of its own: repeats, bullets, symbols, numbers, short lines."""
    texts = [_document(random.Random(seed)) for seed in range(500)]
    if family == "gopher":
        return [text.replace("\n\n", "\n") for text in texts]
    return [text for text in texts if len(text.split()) >= 60]


def _document(source: random.Random) -> str:
    def word() -> str:
        length = 1 + int(source.random() * 3.2 * stretch)
        return "".join(SYLLABLES[int(source.random() * len(SYLLABLES))] for _ in range(length))

    def now(chance: float) -> bool:
        return source.random() < chance

    def pick(items: list[str]) -> str:
        return items[int(source.random() * len(items))]

    stretch = pick([0.2, 1, 1, 1, 1, 2.2])
    habits = {habit: source.random() ** 2 if now(0.17) else 0.0 for habit in HABITS}
    stops, words_in_line = pick([0.0, 0.2, 0.3, 0.4]), pick([2, 3, 6, 10, 14, 20])
    lines: list[str] = []
    for _ in range(3 + int(source.random() * 30)):
        if lines and now(habits["line"] / 2):
            lines.append(pick(lines))
            continue
        words = [pick(STOPS) if now(stops) else word() for _ in range(words_in_line)]
        words = ["#" if now(habits["hash"] / 3) else "17" if now(habits["number"] / 2) else w for w in words]
        if len(lines) > 2 and now(habits["phrase"]):
            words[1:] = pick(lines).split()[: 2 + int(source.random() * 10)]
        if now(habits["pair"]):
            words += ["same", "words"] * (1 + int(source.random() * 2))
        end = "" if now(habits["open"] * 2) else "..." if now(habits["dots"]) else pick([".", ".", "!", "?"])
        lines.append(("- " if now(habits["bullet"] * 2) else "") + " ".join(words) + end)
    return "".join(line + ("\n\n" if now(0.3) else "\n") for line in lines).strip()


HABITS = ("line", "hash", "number", "phrase", "pair", "open", "dots", "bullet")

RECORDED = {
    "gopher": {
        "gopher_below_avg_threshold": (
            "1 14 31 32 43 49 55 57 72 79 87 91 100 102 121 127 139 146 149 162 180 183 190 198 200 213 224 "
            "245 259 269 281 284 296 303 309 316 326 335 336 339 355 359 372 373 378 382 396 397 399 404 410 "
            "426 427 450 451 458 474 485 488 499"
        ),
        "gopher_short_doc": (
            "2 4 5 11 13 15 19 21 23 27 28 35 37 52 60 62 66 67 70 73 82 88 89 90 97 103 113 122 123 128 140 "
            "142 143 158 160 161 163 164 166 169 176 182 188 189 192 196 201 203 208 209 210 212 219 220 221 "
            "225 231 232 233 236 238 241 248 253 254 256 261 263 264 266 267 276 278 279 290 299 301 302 304 "
            "312 313 314 315 318 323 327 333 342 343 346 348 349 352 353 357 358 366 367 376 384 388 389 390 "
            "398 400 405 409 415 417 424 425 429 433 434 436 440 441 454 455 466 467 468 469 470 475 478 480 "
            "486 497"
        ),
        "gopher_too_many_hashes": "7 8 9 30 41 51 71 75 85 106 152 211 270 286 292 368 377 381 412 432 437 448 473 496",
        "gopher_enough_stop_words": (
            "10 29 34 42 53 63 65 76 108 129 134 156 171 181 187 202 207 218 237 262 277 293 300 306 307 319 "
            "325 329 332 337 341 386 393 419 428 438 442 453 457 462 477 483 491 495 498"
        ),
        "gopher_above_avg_threshold": "20 56 104 105 110 124 125 228 243 246 288 295 322 330 351 385 435 479",
        "gopher_below_alpha_threshold": "38 59 83 116 148 227 235 255 257 374 413 463 481",
        "gopher_too_many_bullets": "40 45 48 86 98 126 132 205 249 283 340 345 365 392",
        "gopher_too_many_ellipsis": "77 114 117 239 271 274 406 420 447 472",
        "gopher_too_many_end_ellipsis": "135 159 363 408 411 422 444 461",
    },
    "repetition": {
        "duplicated_5_n_grams": "3 138 250 253 333",
        "dup_line_char_frac": "4 54 86 273 287 294 326",
        "dup_line_frac": "61 106 110 156 169 175 182 241 242 254 264 299 317 334",
        "top_2_gram": "119 201 286",
        "duplicated_8_n_grams": "145",
        "duplicated_9_n_grams": "179 283",
        "top_3_gram": "180 203",
        "duplicated_6_n_grams": "181",
        "top_4_gram": "274",
    },
    "fineweb": {
        "short_line_ratio": (
            "1 4 5 9 24 27 30 37 43 53 62 63 72 78 83 101 115 117 118 122 123 127 133 134 143 150 151 153 "
            "161 168 177 180 184 185 186 190 193 201 206 212 218 224 234 236 237 239 246 252 258 264 266 270 "
            "278 279 282 286 294 297 298 331 334 338 349"
        ),
        "line_punct_ratio": "13 14 15 18 33 34 42 77 89 100 102 109 112 126 135 139 183 189 210 273 285 291 292 302 346",
        "char_dup_ratio": "54 61 86 106 110 156 169 175 179 181 182 241 242 254 283 287 299 311 317 326 333",
        "list_ratio": "88 195 225 230 271",
    },
}


def dropped(family: str, **families: object) -> dict[str, list[int]]:
    """The numbers of the documents that are dropped when only one family is on, by reason."""
    config = RulesConfig(basic=BasicConfig(enabled=False), code=CodeConfig(enabled=False), **families)
    outcomes = RulesStage(config)([Document(text=text, name="made up", language="en") for text in documents(family)])
    found: dict[str, list[int]] = {}
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Dropped):
            found.setdefault(outcome.reason, []).append(number)
    return found


def recorded(family: str) -> dict[str, list[int]]:
    return {NAMES[reason]: [int(number) for number in numbers.split()] for reason, numbers in RECORDED[family].items()}


def test_gopher_quality_drops_what_datatrove_drops():
    assert dropped("gopher", gopher=GopherConfig(enabled=True)) == recorded("gopher")


def test_gopher_repetition_drops_what_datatrove_drops():
    assert dropped("repetition", repetition=RepetitionConfig(enabled=True)) == recorded("repetition")


def test_fineweb_drops_what_datatrove_drops():
    assert dropped("fineweb", fineweb=FineWebConfig(enabled=True)) == recorded("fineweb")


def test_the_record_knows_most_of_the_reasons():
    known = {NAMES[reason] for family in RECORDED.values() for reason in family}
    assert len(known) >= 17
