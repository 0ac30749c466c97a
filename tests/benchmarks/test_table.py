"""The table of figures says what was measured, beside what, and whether the goal is met."""

import json

from tests.benchmarks.figure import Beside, Figure, document, number, table


def test_every_figure_is_a_line_and_every_further_peer_one_more():
    figures = [
        Figure("start", 3.456, "s", most=4),
        Figure("pods", 6, "s", (Beside("podman alone", 4),), most_ratio=1.3),
        Figure(
            "api: GET", 2000, "/s", (Beside("bare server", 4000), Beside("bare store", 800_000))
        ),
    ]
    assert table(figures).splitlines() == [
        "figure    value  unit  beside        its value  ratio  goal",
        "start      3.46  s                                     <= 4 s        met",
        "pods          6  s     podman alone          4    1.5  ratio <= 1.3  MISSED",
        "api: GET  2,000  /s    bare server       4,000    0.5",
        "                       bare store      800,000  0.003",
    ]


def test_a_goal_is_met_at_its_limit():
    assert Figure("start", 4, "s", most=4).met
    assert not Figure("start", 4.01, "s", most=4).met
    assert Figure("pods", 1.3, "s", (Beside("podman", 1),), most_ratio=1.3).met
    assert not Figure("pods", 1.4, "s", (Beside("podman", 1),), most_ratio=1.3).met


def test_without_a_goal_or_a_floor_nothing_is_met_or_missed():
    assert Figure("api", 1, "/s").met is None
    assert Figure("pods", 1, "s", most_ratio=1.3).met is None
    assert Figure("pods", 1, "s", (Beside("podman", 0),), most_ratio=1.3).met is None


def test_numbers_show_the_digits_that_count():
    shown = {
        0: "0",
        0.0001234: "1.2e-04",
        0.1234: "0.123",
        1: "1",
        1.234: "1.23",
        45.67: "45.7",
        12345.6: "12,346",
        None: "",
    }
    assert {value: number(value) for value in shown} == shown


def test_the_document_holds_the_same_as_the_table():
    figure = Figure("pods", 6, "s", (Beside("podman alone", 4),), most_ratio=1.3)
    assert json.loads(document([figure])) == [
        {
            "figure": "pods",
            "value": 6,
            "unit": "s",
            "beside": [{"what": "podman alone", "value": 4, "ratio": 1.5}],
            "goal": "ratio <= 1.3",
            "met": False,
        }
    ]
