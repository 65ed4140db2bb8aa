"""Which key is looked at next, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_operator.controller.reconciler import Key
from sdg_operator.controller.schedule import Schedule


def key(name: str, namespace: str = "a") -> Key:
    return Key("DataGeneration", namespace, name)


def taken(schedule: Schedule, now: float = 0.0) -> list[str]:
    """Names of all keys that may be taken now, in order; they stay in work."""
    found = []
    while (one := schedule.take(now)) is not None:
        found.append(one.name)
    return found


def test_a_key_that_is_marked_many_times_is_taken_once() -> None:
    schedule = Schedule(workers=24)
    for _ in range(5):
        schedule.mark(key("x"), 0.0)
    assert taken(schedule) == ["x"]


def test_keys_of_one_namespace_are_taken_first_come_first_served() -> None:
    schedule = Schedule(workers=24)
    for name in ("c", "a", "b", "a"):
        schedule.mark(key(name), 0.0)
    assert taken(schedule) == ["c", "a", "b"]


def test_a_key_in_work_is_not_taken_twice_and_is_taken_again_if_marked_meanwhile() -> None:
    schedule = Schedule(workers=24)
    schedule.mark(key("x"), 0.0)
    assert taken(schedule) == ["x"]
    schedule.mark(key("x"), 1.0)
    assert taken(schedule, 1.0) == []
    schedule.done(key("x"), 2.0, again_at=None)
    assert taken(schedule, 2.0) == ["x"]


def test_a_key_that_was_not_marked_meanwhile_rests() -> None:
    schedule = Schedule(workers=24)
    schedule.mark(key("x"), 0.0)
    taken(schedule)
    schedule.done(key("x"), 1.0, again_at=None)
    assert taken(schedule, 100.0) == []
    assert (schedule.ready, schedule.delayed, schedule.working) == (0, 0, 0)


def test_a_pass_that_failed_waits_its_time_although_events_came_in_between() -> None:
    schedule = Schedule(workers=24)
    schedule.mark(key("x"), 0.0)
    taken(schedule)
    schedule.mark(key("x"), 0.5)
    schedule.done(key("x"), 1.0, again_at=5.0, heed_marks=False)
    assert taken(schedule, 4.9) == []
    assert taken(schedule, 5.0) == ["x"]


def test_an_event_ends_a_delay() -> None:
    schedule = Schedule(workers=24)
    schedule.delay(key("x"), 60.0)
    schedule.mark(key("x"), 1.0)
    assert taken(schedule, 1.0) == ["x"]
    schedule.done(key("x"), 2.0, again_at=None)
    assert taken(schedule, 100.0) == [], "the delay has been served by the pass"


def test_of_two_delays_the_sooner_holds() -> None:
    for first, second in ((10.0, 5.0), (5.0, 10.0)):
        schedule = Schedule(workers=24)
        schedule.delay(key("x"), first)
        schedule.delay(key("x"), second)
        assert schedule.next_time() == 5.0
        assert taken(schedule, 4.0) == []
        assert taken(schedule, 5.0) == ["x"]
        schedule.done(key("x"), 6.0, again_at=None)
        assert taken(schedule, 11.0) == []


def test_a_delay_that_ends_while_its_key_is_in_work_is_served_afterwards() -> None:
    schedule = Schedule(workers=24)
    schedule.mark(key("x"), 0.0)
    taken(schedule)
    schedule.delay(key("x"), 5.0)
    assert taken(schedule, 6.0) == []
    schedule.done(key("x"), 7.0, again_at=None)
    assert taken(schedule, 7.0) == ["x"]


def test_namespaces_take_turns() -> None:
    schedule = Schedule(workers=24)
    for name in ("a1", "a2", "a3"):
        schedule.mark(key(name, "a"), 0.0)
    for name in ("b1", "b2"):
        schedule.mark(key(name, "b"), 0.0)
    assert taken(schedule) == ["a1", "b1", "a2", "b2", "a3"]


def test_ten_thousand_keys_of_one_namespace_do_not_delay_a_new_one_of_another() -> None:
    schedule = Schedule(workers=24)
    for number in range(10_000):
        schedule.mark(key(str(number), "crowd"), 0.0)
    for _ in range(8):
        schedule.take(0.0)
    schedule.mark(key("new", "quiet"), 1.0)
    assert schedule.take(1.0) == key("new", "quiet")


def test_a_namespace_holds_no_more_than_its_share_of_the_workers() -> None:
    schedule = Schedule(workers=4)
    for name in ("1", "2", "3"):
        schedule.mark(key(name), 0.0)
    assert taken(schedule) == ["1", "2"]
    schedule.done(key("1"), 1.0, again_at=None)
    assert taken(schedule, 1.0) == ["3"]


@pytest.mark.parametrize("crowded", [1, 3, 8, 20, 40])
def test_however_many_namespaces_hold_workers_one_is_left_for_a_new_one(crowded: int) -> None:
    schedule = Schedule(workers=64)
    for number in range(64):
        for namespace in range(crowded):
            schedule.mark(key(str(number), f"crowd-{namespace}"), 0.0)
    held = len(taken(schedule))
    assert held >= min(crowded, 21)
    schedule.mark(key("new", "quiet"), 1.0)
    assert schedule.take(1.0) == key("new", "quiet")
    assert held < 64


def test_namespaces_that_come_one_after_the_other_leave_workers_for_new_ones() -> None:
    schedule = Schedule(workers=64)
    for namespace in range(14):
        for number in range(64):
            schedule.mark(key(str(number), f"crowd-{namespace}"), 0.0)
        assert taken(schedule), f"namespace {namespace} finds none"


def test_age_is_counted_from_when_a_key_was_due_not_from_when_it_was_noticed() -> None:
    schedule = Schedule(workers=2)
    schedule.mark(key("busy"), 0.0)
    taken(schedule)
    schedule.delay(key("late"), 10.0)
    assert taken(schedule, 25.0) == []
    assert schedule.oldest(25.0) == 15.0


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    kinds = st.sampled_from(["mark", "delay", "take", "done", "fail"])
    return draw(st.lists(st.tuples(kinds, st.integers(0, 5), st.integers(0, 3)), max_size=60))


@given(_steps())
def test_no_mark_is_ever_lost_and_no_key_is_in_work_twice(steps: list[tuple[str, int, int]]) -> None:
    """Whatever happens in whatever order, every key that was marked or delayed is taken at or after that time."""
    schedule = Schedule(workers=4)
    keys = [key(str(n), namespace) for namespace in "ab" for n in range(3)]
    owed: set[Key] = set()
    working: list[Key] = []
    now = 0.0
    for what, which, wait in steps:
        one = keys[which]
        now += wait
        match what:
            case "mark":
                schedule.mark(one, now)
                owed.add(one)
            case "delay":
                schedule.delay(one, now + wait)
                owed.add(one)
            case "take":
                if (found := schedule.take(now)) is not None:
                    assert found not in working
                    working.append(found)
                    owed.discard(found)
            case _ if working:
                ended = working.pop(0)
                failed = what == "fail"
                schedule.done(ended, now, again_at=now + wait if failed else None, heed_marks=not failed)
                if failed:
                    owed.add(ended)
    for _ in range(len(keys) * 2):
        now += 10.0
        while working:
            schedule.done(working.pop(), now, again_at=None)
        while (found := schedule.take(now)) is not None:
            assert found not in working
            working.append(found)
            owed.discard(found)
    assert not owed
