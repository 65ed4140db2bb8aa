"""When an endpoint is left alone."""

from sdg_operator.clients.circuit import Circuit, SharedCircuit


def failed(circuit: Circuit, times: int, now: float = 0.0) -> Circuit:
    for _ in range(times):
        circuit.failed(now)
    return circuit


def test_two_failures_do_not_shut_it() -> None:
    assert failed(Circuit(), 2).check(0.0) == 0


def test_three_in_a_row_do_for_five_seconds() -> None:
    circuit = failed(Circuit(), 3)
    assert circuit.check(1.0) == 4.0
    assert circuit.check(5.0) == 0


def test_a_success_in_between_counts_anew() -> None:
    circuit = failed(Circuit(), 2)
    circuit.succeeded()
    assert failed(circuit, 2).check(0.0) == 0


def test_after_the_pause_one_call_tries_for_all() -> None:
    circuit = failed(Circuit(), 3)
    assert circuit.check(6.0) == 0, "the one that tries"
    assert circuit.check(6.0) > 0, "all others"


def test_pauses_double_up_to_a_minute_while_tries_fail() -> None:
    circuit = failed(Circuit(), 3)
    now, pauses = 0.0, []
    for _ in range(6):
        pauses.append(circuit.check(now))
        now += pauses[-1]
        assert circuit.check(now) == 0
        circuit.failed(now)
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_a_try_that_succeeds_opens_it_for_all() -> None:
    circuit = failed(Circuit(), 9)
    circuit.succeeded()
    assert circuit.check(0.0) == 0
    assert failed(circuit, 3).check(0.0) == 5


def silent(*namespaces: str) -> SharedCircuit:
    circuit = SharedCircuit()
    for namespace in namespaces:
        circuit.was_silent(namespace, 0.0)
    return circuit


def test_what_one_namespace_meets_shuts_nothing_for_others() -> None:
    assert silent(*["a"] * 9).check(0.0) == 0


def test_silence_that_two_namespaces_meet_is_spared_a_third() -> None:
    assert silent("a", "a", "b").check(0.0) == 5
    assert silent("a", "a", "a", "b").check(0.0) > 0


def test_an_answer_to_any_namespace_opens_it_for_all() -> None:
    circuit = silent("a", "b", "a", "b")
    circuit.answered()
    assert circuit.check(0.0) == 0
    circuit.was_silent("a", 0.0)
    circuit.was_silent("a", 0.0)
    circuit.was_silent("a", 0.0)
    assert circuit.check(0.0) == 0, "only one has met silence since"
