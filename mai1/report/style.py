"""How the report looks: one quiet sheet for light and dark, any width, colours that colour-blind readers can tell."""

NUM_SHADES = 13
LIGHT_SHADES = ("#0b3c6f", "#3b7db8", "#a9cbe4", "#f4f2ee", "#f6c08a", "#d9701f", "#7f2f00")
DARK_SHADES = ("#a9d6ff", "#4a93d6", "#24496b", "#24262a", "#68431f", "#d07a26", "#ffd09c")
LIGHT_LINES = ("#0067a5", "#c8501a", "#00805e", "#a8558c", "#8a6d00", "#5b6570")
DARK_LINES = ("#6cb4ee", "#f0915a", "#4fc9a0", "#de9cc6", "#dcc04a", "#a3adb8")
DASHES = {2: (7, 2), 3: (2, 2), 4: (4, 3), 5: (1, 2)}
"""Pixels on and off, for those whose eyes take two of the colours for one."""

LIGHT_PARTS = ("#2f7bb5", "#8fbfdf", "#c8501a", "#e69f5c", "#f0cfa4", "#8c6bb1", "#b9a4d3", "#a9adb3")
DARK_PARTS = ("#4a93d6", "#2b5a83", "#d9763c", "#a8602c", "#6f4a24", "#9a7fc4", "#5f4d80", "#565b62")

SHEET = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { overflow-wrap: break-word; max-width: 1160px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -.02em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 19px; font-weight: 620; letter-spacing: -.01em; margin: 0 0 4px; }
h3 { font-size: 15px; font-weight: 620; margin: 28px 0 4px; }
section { margin-top: 52px; padding-top: 18px; border-top: 1px solid var(--hair); }
p { margin: 4px 0 12px; max-width: 76ch; }
a { color: inherit; text-decoration: underline; text-decoration-color: var(--hair); text-underline-offset: 3px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 22px; font-size: 13px; color: var(--quiet); }
.caption, .quiet, .absent, .subtitle, figcaption span { color: var(--quiet); }
.caption, .absent { font-size: 13.5px; } .subtitle { margin: 6px 0 0; }
.note { font-size: 13.5px; border-left: 3px solid var(--l1); padding: 2px 12px; margin: 16px 0 0; max-width: none; }
.note + .note { margin-top: 8px; } .note b { font-weight: 620; }
section.empty { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 14px; margin-top: 26px; padding-top: 10px; }
section.empty + section.empty { margin-top: 6px; border: 0; padding: 0; }
section.empty h2 { font-size: 13.5px; margin: 0; } section.empty .absent { margin: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 22px 18px; margin: 30px 0 0; }
.tiles > div { min-width: 0; } .tiles .value { overflow-wrap: anywhere; }
.tiles dt { font-size: 12.5px; color: var(--quiet); }
.tiles dd { margin: 0; font-variant-numeric: tabular-nums; }
.tiles .value { font-size: 25px; line-height: 1.25; font-weight: 600; letter-spacing: -.02em; }
.tiles .under { font-size: 12.5px; color: var(--quiet); display: block; }
.two, .three { display: grid; gap: 26px 32px; align-items: end; }
.two { grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); }
.three { grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); }
figure { margin: 14px 0 0; min-width: 0; } figure:not(:has(svg)) { align-self: start; }
figcaption { font-size: 13px; line-height: 1.4; margin-bottom: 6px; } figcaption b { font-weight: 620; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 11px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
.cells path { stroke: currentColor; stroke-width: 1; shape-rendering: crispEdges; }
.grid { stroke: var(--hair); } .heat .grid { display: none; } .axis { stroke: var(--faint); }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; } .band { stroke: none; opacity: .2; }
.level { stroke: var(--quiet); stroke-dasharray: 4 4; }
.level-name { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
.cross, .cell { visibility: hidden; fill: none; stroke: var(--quiet); }
.cell { stroke: var(--ink); stroke-width: 1.5; } .on .cross, .on .cell { visibility: visible; }
.spark { width: 120px; } .hover { fill: transparent; } .chance { stroke: var(--l1); stroke-width: 2; }
.map rect { stroke: var(--paper); stroke-width: .6; } .map rect:hover { stroke: var(--ink); stroke-width: 1.5; }
.bars { max-width: 900px; margin: 8px 0; } .bar:hover { opacity: .8; } .bar { stroke: var(--paper); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 12.5px; color: var(--quiet); margin: 6px 0; }
.legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; } .legend.parts i { width: 12px; height: 11px; }
.heat-legend { width: 260px; font-size: 11.5px; color: var(--quiet); margin: 8px 0 0; }
.heat-legend .cells, .heat-legend .scale { display: flex; } .heat-legend .cells i { flex: 1; height: 10px; }
.heat-legend .scale { justify-content: space-between; }
.scroll { overflow-x: auto; margin: 12px 0; background:
  linear-gradient(90deg, var(--paper) 40%, transparent) 0 0 / 32px 100% no-repeat local,
  linear-gradient(270deg, var(--paper) 40%, transparent) 100% 0 / 32px 100% no-repeat local,
  linear-gradient(90deg, var(--edge), transparent) 0 0 / 10px 100% no-repeat,
  linear-gradient(270deg, var(--edge), transparent) 100% 0 / 10px 100% no-repeat; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: var(--quiet); text-align: left; vertical-align: bottom; }
th, td { padding: 5px 22px 5px 0; border-bottom: 1px solid var(--hair); }
td { vertical-align: top; max-width: 66ch; text-align: left; overflow-wrap: break-word; }
.n { text-align: right; white-space: nowrap; }
td:not(.n) ~ td:not(.n) { min-width: 9em; }
td svg { margin-left: auto; }
details { margin: 10px 0; } summary { cursor: pointer; font-size: 13.5px; color: var(--quiet); }
summary:hover { color: var(--ink); }
pre { font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; margin: 6px 0;
  white-space: pre-wrap; overflow-wrap: anywhere; background: var(--wash); padding: 10px 12px; border-radius: 5px;
  max-height: 420px; overflow-y: auto; }
h1, pre, .prompt, td { unicode-bidi: plaintext; }
.prompt pre { background: none; padding: 0; }
.sample { margin: 22px 0; } .sample > .prompt { font-weight: 600; white-space: pre-wrap; overflow-wrap: anywhere; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); gap: 4px 20px; }
.sides h4 { font-size: 12.5px; font-weight: 500; color: var(--quiet); margin: 6px 0 0; overflow-wrap: anywhere; }
.sides > div { min-width: 0; }
#tip { position: fixed; pointer-events: none; z-index: 2; background: var(--ink); color: var(--paper); padding: 5px 9px;
  border-radius: 5px; font-size: 12.5px; line-height: 1.45; max-width: 320px; font-variant-numeric: tabular-nums; }
#tip div:first-child { opacity: .75; }
@media (max-width: 560px) { main { padding: 24px 16px 60px; } svg text { font-size: 13px; }
  .three svg text { font-size: 11px; } section { margin-top: 38px; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: 16px; }
  .heat text { font-size: 16px; } .bars, .map { min-width: 760px; }
  .bars text, .map text { font-size: 11px; } td:first-child { min-width: 5em; } td { max-width: 72vw; } }
@media print { details { display: none; } main { max-width: none; padding: 0; } section { break-inside: avoid-page; } }
"""


def blend(anchors: tuple[str, ...], num_shades: int) -> list[str]:
    """`num_shades` colours along the line through the anchors."""
    shades = []
    for index in range(num_shades):
        place = index / (num_shades - 1) * (len(anchors) - 1)
        left = min(int(place), len(anchors) - 2)
        pairs = ((anchors[left][at : at + 2], anchors[left + 1][at : at + 2]) for at in (1, 3, 5))
        mixed = (round(int(a, 16) + (int(b, 16) - int(a, 16)) * (place - left)) for a, b in pairs)
        shades.append("#" + "".join(f"{channel:02x}" for channel in mixed))
    return shades


def _variables(base: str, shades: tuple[str, ...], lines: tuple[str, ...], parts: tuple[str, ...]) -> str:
    named = [f"--h{index}: {colour}" for index, colour in enumerate(blend(shades, NUM_SHADES))]
    named += [f"--l{index}: {colour}" for index, colour in enumerate(lines)]
    named += [f"--p{index}: {colour}" for index, colour in enumerate(parts)]
    return ":root { " + base + "; ".join(named) + "; }"


def _classes() -> str:
    shades = ((f".h{index}", f"var(--h{index})") for index in range(NUM_SHADES))
    rules = [f"{name} {{ fill: {shade}; color: {shade}; background: {shade}; }}" for name, shade in shades]
    for index in range(len(LIGHT_LINES)):
        colour = f"var(--l{index})"
        rules.append(f".line.c{index} {{ stroke: {colour}; }} .band.c{index}, .dot.c{index} {{ fill: {colour}; }}")
        rules.append(f"i.c{index} {{ background: {colour}; }}")
        if dashes := DASHES.get(index):
            on, off = dashes
            stripes = f"repeating-linear-gradient(90deg, {colour} 0 {on}px, transparent 0 {on + off}px)"
            rules.append(f".line.c{index} {{ stroke-dasharray: {on} {off}; }} i.c{index} {{ background: {stripes}; }}")
    for index in range(len(LIGHT_PARTS)):
        rules.append(f".p{index} {{ fill: var(--p{index}); background: var(--p{index}); }}")
    return "\n".join(rules)


def _sheet() -> str:
    light = "color-scheme: light dark; --paper: #fdfdfc; --ink: #1a1c1f; --quiet: #64686f; --hair: #e6e5e1; "
    light += "--faint: #b9bbbf; --wash: #f4f3f0; --edge: rgb(0 0 0 / .16); "
    dark = "--paper: #141517; --ink: #e9e9e7; --quiet: #9a9ea6; --hair: #2a2c30; --faint: #55585e; --wash: #1d1f22; "
    dark += "--edge: rgb(255 255 255 / .2); "
    dark_rules = _variables(dark, DARK_SHADES, DARK_LINES, DARK_PARTS)
    light_rules = _variables(light, LIGHT_SHADES, LIGHT_LINES, LIGHT_PARTS)
    return f"{light_rules}\n@media (prefers-color-scheme: dark) {{ {dark_rules} }}\n{_classes()}\n{SHEET}"


STYLE = _sheet()
