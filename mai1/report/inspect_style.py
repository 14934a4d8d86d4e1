"""How the inspection page looks beyond the common sheet: a colour for each expert, and one layer shown at a time."""

GOLDEN_ANGLE = 137.508
MAX_EVEN_HUES = 12
CHOSEN = ".chips:has(.x{0}:hover) ~ .panel .passage .x{0}"
"""Tokens of the expert under the pointer. A rule that ends with its own class costs nothing for all other tokens."""


SHEET = """
:root { --tone: .87; --tint: .1; }
@media (prefers-color-scheme: dark) { :root { --tone: .4; --tint: .1; } }
#layers > input { position: absolute; opacity: 0; pointer-events: none; }
.picker { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: 4px; align-items: center;
  padding: 10px 0; background: var(--paper); }
.picker label { min-width: 34px; padding: 3px 10px; border: 1px solid var(--hair); border-radius: 6px; cursor: pointer;
  text-align: center; font-size: 13.5px; font-variant-numeric: tabular-nums; }
.picker label:hover { border-color: var(--faint); }
.picker > span, .chips > span:first-child { font-size: 12.5px; color: var(--quiet); margin-right: 6px; }
.panel { display: none; }
.chips { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; margin: 6px 0 14px; }
.chip { display: inline-block; min-width: 28px; padding: 1px 8px; border-radius: 10px; text-align: center; cursor: default;
  font-size: 12.5px; font-variant-numeric: tabular-nums; }
.passages { align-items: start; gap: 18px 32px; } .passage { min-width: 0; }
.passage h4 { font-size: 12.5px; font-weight: 500; color: var(--quiet); margin: 0 0 2px; }
.passage p { max-width: none; margin: 0; max-height: 480px; overflow-y: auto; white-space: pre-wrap;
  overflow-wrap: anywhere;
  font: 13.5px/1.85 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.passage span { padding: 2px 0; border-radius: 3px; box-shadow: inset -1px 0 0 var(--paper); }
.chips:has(.chip:hover) ~ .panel .passage span { background: none; opacity: .35; }
.passage span:hover { outline: 1.5px solid var(--ink); }
.pieces { display: flex; flex-wrap: wrap; gap: 2px 14px; max-width: 640px; }
td:has(.pieces) { max-width: none; min-width: 300px; } .chips { max-height: 96px; overflow-y: auto; }
.pieces small { color: var(--quiet); font-size: 11.5px; }
code { font: 12.5px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; background: var(--wash);
  padding: 1px 4px; border-radius: 3px; white-space: pre; }
.mix { width: 190px; height: 12px; margin-top: 5px; border-radius: 2px; background: linear-gradient(90deg, var(--mix)); }
#tokens td, #tokens th { white-space: nowrap; }
"""


def inspection_style(layer_numbers: list[int], *, num_experts: int) -> str:
    """The sheet with a rule for each layer and each expert."""
    return SHEET + "".join(_layer_rules(number) for number in layer_numbers) + _expert_rules(num_experts)


def _layer_rules(number: int) -> str:
    chosen = f"#layer-{number}:checked ~ "
    label = f'.picker label[for="layer-{number}"]'
    return (
        f"{chosen}.panel-{number} {{ display: block; }}\n"
        f"{chosen}{label} {{ background: var(--ink); color: var(--paper); border-color: var(--ink); }}\n"
        f"#layer-{number}:focus-visible ~ {label} {{ outline: 2px solid var(--l0); outline-offset: 2px; }}\n"
    )


def _expert_rules(num_experts: int) -> str:
    """Hues all around the circle: even steps while they can be told apart, then by the golden angle and in three tones."""
    rules = []
    for expert in range(num_experts):
        few = num_experts <= MAX_EVEN_HUES
        hue = expert * 360 / num_experts if few else expert * GOLDEN_ANGLE % 360
        tone = 0 if few else (expert % 3 - 1) * 0.06
        colour = f"oklch(calc(var(--tone) + {tone:.2f}) var(--tint) {hue + 20:.0f})"
        rules.append(f".x{expert} {{ --expert: {colour}; background: var(--expert); }}\n")
        rules.append(f"{CHOSEN.format(expert)} {{ background: var(--expert); opacity: 1; }}\n")
    return "".join(rules)
