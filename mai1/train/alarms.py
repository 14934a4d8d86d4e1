"""Alarms: a figure of the experts that reaches its threshold is said once when it does, and once when it is back."""

import math
from dataclasses import asdict, dataclass


@dataclass(kw_only=True, slots=True)
class AlarmConfig:
    after_steps: int = 100
    """Steps of a run without alarms: an untrained router is uneven until balancing has caught up with it."""
    max_violation: float = 2.0
    """Largest violation of a layer: at 2 its busiest expert gets three times the even share, while sound runs stay below
    1.3. The most there can be is experts / top_k - 1. 0 turns the alarm off."""
    min_entropy: float = 0.7
    """Smallest entropy of a layer's load, as a share of ln(experts): at 0.7 as if only 18 of 64 experts shared the tokens.
    0 turns the alarm off."""
    dead_experts: int = 1
    """Experts of a layer that got no token in a step: one is too many, it no longer learns. 0 turns the alarm off."""
    dropped_share: float = 0.1
    """Share of a layer's choices dropped for capacity: up to about a tenth costs little (ST-MoE, arXiv 2202.08906). 0 turns
    the alarm off."""
    router_drift: float = 0.0
    """Change of a router's weight since the last checkpoint, relative to its size. 0 turns the alarm off, as it is by
    default: how far a router moves depends on checkpoint.every_steps and the learning rate."""
    rank_imbalance: float = 1.0
    """Rows of the busiest expert-parallel rank over the mean, minus 1: at 1 the others wait half of the time. 0 turns the
    alarm off."""

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"alarms.{key}={value} must not be negative or infinite: use 0 to turn it off")
        if self.min_entropy >= 1:
            raise ValueError(f"alarms.min_entropy={self.min_entropy} must be below 1, which is even load: use 0.7")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One figure of one layer that has reached its threshold."""

    layer: str
    figure: str
    """Key of the figure in the layer's record."""
    value: float
    """As compared: the entropy as a share of ln(experts), everything else as recorded."""
    key: str
    """Key of the threshold in the configuration."""
    threshold: float
    mend: str
    """What a person can do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which threshold watches which figure, and what a person can do."""

    threshold: str
    figure: str
    mend: str

    def judge(self, layer: str, record: dict, config: AlarmConfig) -> Alarm | None:
        """The alarm that a layer's record gives, if any."""
        threshold, value = getattr(config, self.threshold), record[self.figure]
        if not threshold:
            return None
        if self.figure == "entropy":
            value /= math.log(max(len(record["load"]), 2))
        is_reached = value <= threshold if self.threshold.startswith("min_") else value >= threshold
        return (
            Alarm(layer, self.figure, value, f"alarms.{self.threshold}", threshold, self.mend) if is_reached else None
        )


BALANCE = "raise balance.bias_rate or balance.loss_weight"
RULES = (
    Rule("max_violation", "max_violation", f"one expert does the work of several: {BALANCE}"),
    Rule("min_entropy", "entropy", f"few experts do the work: {BALANCE}, or lower optim.learning_rate"),
    Rule(
        "dead_experts", "dead_experts", f"experts without tokens learn nothing: {BALANCE}, or take more tokens a step"
    ),
    Rule("dropped_share", "dropped_share", f"tokens go without experts: raise routing.capacity_factor, or {BALANCE}"),
    Rule("router_drift", "router_drift", "the router moves fast: lower optim.learning_rate, or save more often"),
    Rule("rank_imbalance", "rank_imbalance", f"ranks wait for the busiest one: {BALANCE}"),
)


@dataclass(slots=True)
class AlarmNews:
    """What is alarming after a step, and what of it is new."""

    active: list[Alarm]
    """All that hold now."""
    messages: list[str]
    """A line for each figure in which layers began or ceased to be alarming."""


class AlarmWatch:
    """Compares each logged step's layers with the thresholds and remembers what has been said."""

    def __init__(self, config: AlarmConfig) -> None:
        self._config = config
        self._active: dict[Rule, dict[str, Alarm]] = {rule: {} for rule in RULES}

    def check(self, step: int, layers: dict[str, dict]) -> AlarmNews:
        """The alarms of the layers' records after `step` optimizer steps; a figure that none of them has stays as it was."""
        news = AlarmNews([], [])
        if step <= self._config.after_steps:
            return news
        for rule, before in self._active.items():
            if not any(rule.figure in record for record in layers.values()):
                news.active += before.values()
                continue
            judged = (rule.judge(layer, record, self._config) for layer, record in layers.items())
            now = {alarm.layer: alarm for alarm in judged if alarm is not None}
            news.active += now.values()
            if began := [alarm for layer, alarm in now.items() if layer not in before]:
                news.messages.append(f"step {step}: ALARM: {_worst(began, rule)}: {rule.mend}")
            if ended := [alarm for layer, alarm in before.items() if layer not in now]:
                news.messages.append(f"step {step}: alarm is over: {rule.figure} in {_layers(ended)}")
            self._active[rule] = now
        return news


def _worst(alarms: list[Alarm], rule: Rule) -> str:
    """The alarm farthest beyond the threshold, and which other layers have it too."""
    worst, *others = sorted(alarms, key=lambda alarm: alarm.value, reverse=not rule.threshold.startswith("min_"))
    more = f" (and in {_layers(others)})" if others else ""
    share = " of ln(experts)" if rule.figure == "entropy" else ""
    value = f"{rule.figure} {worst.value:.3g}{share} in layer {worst.layer}{more}"
    return f"{value} reaches {worst.key}={worst.threshold:g}"


def _layers(alarms: list[Alarm]) -> str:
    names = sorted((alarm.layer for alarm in alarms), key=int)
    return f"layer{'s' * (len(names) > 1)} {', '.join(names)}"
