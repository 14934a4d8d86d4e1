"""Entry of the planner's page: `build_plan_page(record, path)` shows what `mai1 plan` found, from plan.json alone."""

from collections.abc import Callable
from pathlib import Path

from mai1.report.markup import Markup, absent, caption, details, element, section, table, tile
from mai1.report.page import drawn, page, write_page
from mai1.report.plan_charts import goodput_bar, links_bars, memory_bars, time_bars
from mai1.report.plan_figures import amount, bytes_in_words, dollars, duration, energy, plain, settings_of
from mai1.report.scales import compact, grouped, percent

SETTINGS = ("pipeline", "virtual_stages", "expert", "tensor", "sequence", "zero_stage", "microbatch")
HEADINGS = ("stages", "pieces", "experts", "tensor", "sequence", "ZeRO", "rows at once")


def build_plan_page(record: dict, path: Path) -> None:
    """Write the page; a reader sees the old page or the new one, never half of one."""
    parts: dict[str, Callable[[], Markup]] = {
        "Overview": lambda: overview(record),
        "Memory": lambda: memory(record),
        "Time": lambda: time(record),
        "Layouts": lambda: layouts(record),
        "Links": lambda: links(record),
        "Refused": lambda: refused(record),
        "Run": lambda: run(record),
        "Laws": lambda: laws(record),
        "Assumed": lambda: assumed(record),
    }
    write_page(path, page(f"{title_of(record)} · plan", *(drawn(name, draw) for name, draw in parts.items())))


def title_of(record: dict) -> str:
    """Model, number and kind of devices."""
    return f"{record['name']} on {grouped(record['devices'])} × {record['hardware']['name'] or 'device'}"


def overview(record: dict) -> Markup:
    """Main figures of a run in the first layout, and the command that runs the best of today."""
    best, length, parameters = record["best"], record["run"], record["parameters"]
    used = sum(best["memory_bytes"].values())
    tiles = (
        tile(
            "Tokens/s a device", grouped(best["tokens_per_s_per_device"]), f"{compact(best['tokens_per_s'])}/s in all"
        ),
        tile("MFU", percent(best["mfu"]), f"{duration(best['step_s'])} a step"),
        tile(
            "Time", duration(length["seconds"]), f"{compact(record['tokens'])} tokens, {grouped(length['steps'])} steps"
        ),
        tile("Cost", dollars(length["dollars"]), f"{grouped(length['device_hours'])} device hours"),
        tile("Energy", energy(length["kilowatt_hours"]), "of the whole site"),
        tile("Memory", bytes_in_words(used), f"of {bytes_in_words(record['hardware']['memory_bytes'])} a device"),
    )
    total, active = compact(parameters["total"]), compact(parameters["active"])
    per_token = compact(record["flops"]["per_token"])
    subtitle = f"{total} parameters, {active} active · {per_token} FLOPs a token · {best['described']}"
    return element(
        "header",
        element("h1", title_of(record)),
        element("p", subtitle, class_="subtitle"),
        element("dl", *tiles, class_="tiles"),
        *(element("p", note, class_="note") for note in record["notes"]),
        *_how_to_run(record),
    )


def _how_to_run(record: dict) -> list[Markup]:
    best = record["best"]
    if not record["today"]:
        return [element("p", "No layout that fits can be run by this version.", class_="note")]
    today = record["today"][0]
    slower = 1 - today["tokens_per_s"] / best["tokens_per_s"]
    note = f", {percent(slower)} slower than the first" if slower > 5e-4 else ""
    command = f"mai1 pretrain model={record['name']} {' '.join(today['overrides'])}"
    return [element("h3", f"To run the best of today{note}"), element("pre", command)]


def memory(record: dict) -> Markup:
    """Bytes by kind of the best layouts against what a device has."""
    kinds = record["best"]["memory_bytes"]
    rows = [[plain(kind), bytes_in_words(size), percent(size, sum(kinds.values()))] for kind, size in by_size(kinds)]
    note = f"Of the fullest device, whose experts get {record['imbalance']:g} times the mean of rows; layouts by their number."
    return section(
        "memory", "Memory", caption(note), memory_bars(record), table(["kind, layout 1", "bytes", "share"], rows)
    )


def time(record: dict) -> Markup:
    """Where the time of a step goes in the best layouts."""
    parts = record["best"]["seconds"]
    rows = [
        [plain(part), duration(seconds), percent(seconds, record["best"]["step_s"])] for part, seconds in by_size(parts)
    ]
    note = "Microseconds of one device for each token; layouts by their number."
    return section(
        "time", "Time of a step", caption(note), time_bars(record), table(["part, layout 1", "time", "share"], rows)
    )


def by_size(sizes: dict[str, float]) -> list[tuple[str, float]]:
    """What there is of something, most first."""
    return sorted(((name, size) for name, size in sizes.items() if size > 0), key=lambda item: -item[1])


def layouts(record: dict) -> Markup:
    """The fastest layouts, one of each topology, and whether each runs today."""
    searched = record["search"]
    note = f"The fastest of {grouped(searched['shapes'])} that divide; one of each topology. Experts are shared by so many ranks."
    named = [(str(number), found) for number, found in enumerate(record["layouts"], start=1)]
    if record["today"] != record["layouts"]:
        named += [(f"today\u00a0{number}", found) for number, found in enumerate(record["today"], start=1)]
    rows = [
        [
            number,
            "yes" if not found["obstacles"] else "needs " + ", ".join(found["obstacles"]),
            grouped(found["tokens_per_s_per_device"]),
            percent(found["mfu"]),
            bytes_in_words(sum(found["memory_bytes"].values())),
            *settings_of(found["layout"], SETTINGS),
            found["layout"]["recompute"] + (" + host" if found["layout"]["offload_optimizer"] else ""),
            found["layout"]["format"],
        ]
        for number, found in named
    ]
    headers = ["", "runs today", "tokens/s", "MFU", "memory", *HEADINGS, "recompute", "format"]
    commands = [
        element("p", f"{number}: {' '.join(found['overrides'])}") for number, found in named if found["overrides"]
    ]
    return section(
        "layouts",
        "Layouts",
        caption(note),
        table(headers, rows, num_text_columns=2),
        details("How to run those that run today", *commands) if commands else "",
    )


def links(record: dict) -> Markup:
    """What one device sends in a step, and how much of it leaves its node."""
    title = "Traffic of one device in a step"
    if not record["links"]:
        return section("links", title, absent("One device: nothing travels."))
    rows = [
        [
            link["what"],
            f"{link['group']}, {grouped(link['group_size'])} ranks",
            link["operation"].replace("_", "-"),
            link["overlaps_with"] or "nothing",
            bytes_in_words(link["bytes_sent"]),
            percent(link["share_outside_node"]),
            grouped(link["calls"]),
        ]
        for link in record["links"]
    ]
    headers = ["what", "within", "how", "computed meanwhile", "bytes", "to other nodes", "calls"]
    return section("links", title, links_bars(record), table(headers, rows, num_text_columns=4))


def refused(record: dict) -> Markup:
    """Layouts that would be faster, had the device more memory."""
    title = "Would be faster, but do not fit"
    if not record["too_large"]:
        return section("refused", title, absent("Every layout that could be faster fits."))
    rows = [
        [found["described"], found["shortage"], grouped(found["tokens_per_s_per_device"])]
        for found in record["too_large"][:10]
    ]
    note = "Of each topology the smallest layout that would be among the best."
    return section("refused", title, caption(note), table(["layout", "why not", "tokens/s"], rows, num_text_columns=2))


def run(record: dict) -> Markup:
    """Checkpoints, failures, and what they cost."""
    length, title = record["run"], "Failures and checkpoints"
    if "mtbf_s" not in length:
        return section("run", title, absent("The hardware file does not say how fast devices reach host and storage."))
    rows = [
        ["one checkpoint", bytes_in_words(length["checkpoint_bytes"])],
        [
            "best interval",
            f"{duration(length['checkpoint_interval_s'])}: checkpoint.every_steps={length['every_steps']}",
        ],
        ["interval that costs little more", f"checkpoint.every_steps={length['sparing_every_steps']}"],
        ["training stops for a save", duration(length["stall_s"])],
        ["written after", duration(length["write_s"])],
        ["failures a day", amount(length["failures_per_day"])],
        ["from a failure to the next step", duration(length["recovery_s"])],
        ["time in steps that last", percent(length["effective_share"])],
    ]
    return section("run", title, goodput_bar(length), table(["", ""], rows))


def laws(record: dict) -> Markup:
    """Each published law's advice for as many FLOPs."""
    title = f"Scaling laws for {compact(record['flops']['run'])} FLOPs"
    advice, parameters = record["laws"], record["parameters"]
    if not advice["rows"]:
        return section("laws", title, absent("Too few or too many FLOPs for any law."))
    own = ["this plan", compact(parameters["active"]), compact(parameters["total"])]
    own += ["", "", compact(record["tokens"]), amount(record["tokens"] / parameters["active"])]
    own += [""] * (len(advice["columns"]) - len(own))
    notes = (
        element("p", element("b", answer["law"]), f": {answer['note']} {answer['source']}")
        for answer in advice["answers"]
    )
    note = "The laws disagree; the spread is what is known."
    rows = table(advice["columns"], [*advice["rows"], own])
    return section("laws", title, caption(note), rows, details("What each law says, and where it is from", *notes))


def assumed(record: dict) -> Markup:
    """What the figures rest on."""
    hardware = record["hardware"]
    rows = [["FLOPs", record["flops"]["convention"]], ["imbalance of experts", amount(record["imbalance"])]]
    for key, value in hardware.items():
        shown = ", ".join(f"{name} {compact(flops)}" for name, flops in value.items()) if key == "peak_flops" else value
        rows.append([f"hardware.{key}", shown if isinstance(shown, str) else compact(float(shown))])
    return section("assumed", "Assumed", table(["", ""], rows, num_text_columns=2))
