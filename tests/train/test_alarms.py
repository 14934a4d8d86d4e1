"""An alarm is said once when a figure reaches its threshold and once when it is back, and names what a person needs."""

import math
from dataclasses import asdict, fields
from types import SimpleNamespace

import pytest

from mai1.train.alarms import RULES, AlarmConfig, AlarmWatch
from mai1.train.metrics import MetricsLog, WandbConfig

QUIET = {
    "load": [0.25] * 4,
    "entropy": math.log(4),
    "max_violation": 0.1,
    "dead_experts": 0,
    "dropped_share": 0.0,
    "router_drift": 0.1,
    "rank_imbalance": 0.1,
}
BAD = {
    "max_violation": 2.5,
    "entropy": 0.5 * math.log(4),
    "dead_experts": 2,
    "dropped_share": 0.3,
    "router_drift": 1.5,
    "rank_imbalance": 1.25,
}
ALL_ON = {"after_steps": 0, "router_drift": 1.0}


def layers(*changes: dict) -> dict[str, dict]:
    return {str(number): QUIET | change for number, change in enumerate(changes, start=1)}


def test_every_threshold_watches_a_figure():
    thresholds = {entry.name for entry in fields(AlarmConfig)} - {"after_steps"}
    assert {rule.threshold for rule in RULES} == thresholds and {rule.figure for rule in RULES} == BAD.keys()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.threshold)
def test_an_alarm_names_layer_figure_value_threshold_and_mend_and_0_turns_it_off(rule):
    found = layers({}, {rule.figure: BAD[rule.figure]})
    news = AlarmWatch(AlarmConfig(**ALL_ON)).check(7, found)
    [alarm] = news.active
    value = 0.5 if rule.figure == "entropy" else BAD[rule.figure]
    assert asdict(alarm) == {
        "layer": "2",
        "figure": rule.figure,
        "value": pytest.approx(value),
        "key": f"alarms.{rule.threshold}",
        "threshold": getattr(AlarmConfig(**ALL_ON), rule.threshold),
        "mend": rule.mend,
    }
    [message] = news.messages
    for part in ("step 7", "layer 2", f"{value:.3g}", f"alarms.{rule.threshold}={alarm.threshold:g}", rule.mend):
        assert part in message
    off = AlarmWatch(AlarmConfig(**ALL_ON | {rule.threshold: 0})).check(7, found)
    assert not off.active and not off.messages


def test_nothing_is_said_of_sound_layers():
    news = AlarmWatch(AlarmConfig(**ALL_ON)).check(500, layers({}, {}))
    assert not news.active and not news.messages


def test_an_alarm_is_said_when_it_begins_and_when_it_ends_and_recorded_all_along():
    watch, high = AlarmWatch(AlarmConfig(**ALL_ON)), {"max_violation": 2.5}
    told = [watch.check(step, layers(*changes)) for step, changes in enumerate([({},), (high,), (high,), ({},), ({},)])]
    assert [len(news.active) for news in told] == [0, 1, 1, 0, 0]
    assert [len(news.messages) for news in told] == [0, 1, 0, 1, 0]
    assert told[3].messages == ["step 3: alarm is over: max_violation in layer 1"]


def test_layers_that_begin_together_share_a_line_that_names_the_worst():
    watch = AlarmWatch(AlarmConfig(**ALL_ON))
    [message] = watch.check(1, layers({"entropy": 0.9}, {"entropy": 0.2}, {}, {"entropy": 0.6})).messages
    assert f"entropy {0.2 / math.log(4):.3g} of ln(experts) in layer 2 (and in layers 1, 4)" in message
    later = watch.check(2, layers({}, {"entropy": 0.2}, {"entropy": 0.2}, {}))
    assert len(later.active) == 2 and len(later.messages) == 2
    assert "layer 3 reaches" in later.messages[0] and later.messages[1].endswith("entropy in layers 1, 4")


def test_the_first_steps_of_a_run_have_no_alarms():
    watch, dead = AlarmWatch(AlarmConfig(after_steps=100)), layers({"dead_experts": 3})
    assert [len(watch.check(step, dead).active) for step in (10, 100, 110)] == [0, 0, 1]


def test_a_figure_that_no_record_has_leaves_its_alarms_as_they_are():
    watch = AlarmWatch(AlarmConfig(**ALL_ON))
    watch.check(1, layers({"dropped_share": 0.3}))
    without = {name: {k: v for k, v in layer.items() if k != "dropped_share"} for name, layer in layers({}).items()}
    news = watch.check(2, without)
    assert [alarm.figure for alarm in news.active] == ["dropped_share"] and not news.messages


@pytest.mark.parametrize("key", [entry.name for entry in fields(AlarmConfig)])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_senseless_thresholds_are_refused(key: str, value: float):
    with pytest.raises(ValueError, match=rf"alarms\.{key}={value} must not be negative.*use 0 to turn it off"):
        AlarmConfig(**{key: value})


def test_an_entropy_that_none_can_pass_is_refused():
    with pytest.raises(ValueError, match=r"alarms\.min_entropy=1\.0 must be below 1"):
        AlarmConfig(min_entropy=1.0)


@pytest.mark.parametrize("is_offline", [False, True])
def test_wandb_gets_the_number_of_alarms_and_where_it_is_online_their_text(tmp_path, is_offline: bool):
    logged, alerts = [], []
    log = MetricsLog(tmp_path, from_step=0, wandb=WandbConfig(), run_name="r", config={})
    log._wandb = SimpleNamespace(
        offline=is_offline,
        log=lambda values, step: logged.append(values),
        alert=lambda **given: alerts.append(given["text"]),
        finish=lambda: None,
    )
    log.write({"step": 1, "alarms": [{"layer": "1"}, {"layer": "2"}], "layers": {"1": {"load": [0.5, 0.5]}}})
    log.write({"step": 2, "alarms": []})
    log.alert("ALARM")
    log.close()
    assert logged == [
        {"step": 1, "alarms": 2, "layers/1/load/0": 0.5, "layers/1/load/1": 0.5},
        {"step": 2, "alarms": 0},
    ]
    assert alerts == ([] if is_offline else ["ALARM"])
