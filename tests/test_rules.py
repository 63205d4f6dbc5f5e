"""What an answer may not do is noticed however it is written, and told with the rule and the place."""

import functools

import pytest
import torch
from sklearn.dummy import DummyClassifier
from torch import nn
from torch.nn import functional

from course_utils import exercises
from course_utils.checks import exercise as engine
from course_utils.checks.exercise import (
    at_most,
    calls,
    case,
    forbid,
    no_loops,
    no_models,
    shown,
    tensors_up_to,
)
from course_utils.checks.feedback import passes, verdict

VECTORS = [case("two", torch.tensor([1.0, 2.0])), case("three", torch.tensor([0.0, 5.0, 5.0]))]


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch):
    monkeypatch.setattr(engine, "declared", {})
    monkeypatch.setattr(exercises, "lessons", dict)


def declare(reference, cases, *rules, **settings):
    engine.exercise("7.1", "Test", reference=reference, cases=cases, mistakes=[], rules=rules, **settings)


def softmax(x):
    return x.exp() / x.exp().sum()


def softmax_by_hand(x):
    shifted = (x - x.max()).exp()
    return shifted / shifted.sum()


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: torch.softmax(x, 0),
        lambda x: x.softmax(0),
        lambda x: functional.softmax(x, 0),
        lambda x: nn.Softmax(0)(x),
        lambda x: torch.special.softmax(x, 0),
        lambda x: torch.nn.functional.log_softmax(x, 0).exp(),
        lambda x: x.log_softmax(-1).exp(),
    ],
)
def test_a_forbidden_function_counts_under_all_its_names(answer):
    declare(softmax, VECTORS, forbid("softmax", "log_softmax"))
    text = verdict("7.1", answer)
    assert text.startswith("✗ 7.1 Test: the result is right, but `")
    assert "softmax` is called in line " in text and "the card rules that out" in text
    assert not passes("7.1", answer, 1)


def test_what_is_not_forbidden_passes():
    declare(softmax, VECTORS, forbid("softmax", "log_softmax"))
    for right in (softmax_by_hand, lambda x: (x - x.logsumexp(0)).exp()):
        assert verdict("7.1", right) == "✓ 7.1 Test: right on all 2 inputs"
        assert passes("7.1", right, 1)


def test_a_wrong_result_comes_with_the_rule_that_was_broken():
    declare(softmax, VECTORS, forbid("softmax"))
    assert verdict("7.1", lambda x: 2 * x.softmax(0)).startswith("✗ 7.1 Test: `softmax` is called in line ")


def jacobian_row_by_row(function, x):
    y = function(x)
    return torch.stack([torch.autograd.grad(out, x, retain_graph=True)[0] for out in y]).sum(0)


def test_so_many_calls_and_no_more():
    cubes = shown("lambda x: x**3", lambda x: x**3)
    cases = [case("three", cubes, torch.tensor([1.0, 2.0, 3.0], requires_grad=True))]
    declare(
        lambda function, x: torch.autograd.grad(function(x).sum(), x)[0],
        cases,
        at_most(1, "grad", "backward"),
        calls("function", most=1, least=1),
    )
    assert verdict("7.1", engine.declared["7.1"].reference) == "✓ 7.1 Test"
    text = verdict("7.1", jacobian_row_by_row)
    assert "`grad` is called more than once in line " in text
    assert "`function` is called more than once" in verdict(
        "7.1", lambda function, x: torch.autograd.grad(function(x).sum() + 0 * function(x).sum(), x)[0]
    )
    assert "`function` is called never, where once is the least" in verdict(
        "7.1", lambda function, x: 3 * x.detach() ** 2
    )
    assert "   function = lambda x: x**3\n" in verdict("7.1", lambda function, x: function(x).detach())


def test_a_module_that_is_given_is_counted_too():
    declare(
        lambda model, x: model(x), [case("one", nn.Linear(1, 1), torch.ones(1, 1))], calls("model", most=1)
    )
    assert verdict("7.1", lambda model, x: model(x)) == "✓ 7.1 Test"
    assert "`model` is called more than once" in verdict("7.1", lambda model, x: model(x) + 0 * model(x))


def test_loops_are_found_in_the_source_and_in_own_functions():
    def with_for(x):
        total = 0.0
        for value in x:
            total = total + value
        return total

    def with_while(x):
        total, i = x.new_zeros(()), 0
        while i < len(x):
            total, i = total + x[i], i + 1
        return total

    def with_comprehension(x):
        return torch.stack([value for value in x]).sum()

    def with_helper(x):
        return with_for(x)

    declare(lambda x: x.sum(), VECTORS, no_loops())
    assert verdict("7.1", lambda x: x.sum()).startswith("✓")
    for answer, word in (
        (with_for, "`for`"),
        (with_while, "`while`"),
        (with_comprehension, "`a comprehension`"),
        (with_helper, "`for`"),
    ):
        text = verdict("7.1", answer)
        assert f"the result is right, but there is {word} in line " in text, text
        assert "of your cell (" in text


class Looping:
    def __call__(self, x):
        return torch.stack([value for value in x]).sum()


def test_loops_are_found_in_objects_methods_and_one_of_several_lambdas():
    plain, looping = lambda x: x.sum(), lambda x: torch.stack([value for value in x]).sum()
    one, other = (lambda x: x.sum(), lambda x: torch.stack([v for v in x]).sum())
    declare(lambda x: x.sum(), VECTORS, no_loops())
    for answer in (plain, one):
        assert verdict("7.1", answer).startswith("✓"), answer
    for answer in (looping, other, Looping(), Looping().__call__, functools.partial(looping)):
        assert "there is `a comprehension` in line " in verdict("7.1", answer), answer


def test_a_tensor_that_is_too_large():
    declare(lambda x: (x * x).sum(), VECTORS, tensors_up_to(3))
    assert verdict("7.1", lambda x: x @ x).startswith("✓")
    assert "a tensor of shape (2, 2) arises, and 3 elements are the most" in verdict(
        "7.1", lambda x: torch.outer(x, x).diagonal().sum()
    )


def test_a_model_of_the_notebook():
    model = nn.Identity()
    declare(lambda x: x, VECTORS, no_models())
    assert verdict("7.1", lambda x: x).startswith("✓")
    assert "the result is right, but `model` is a model of the notebook" in verdict("7.1", lambda x: model(x))


def test_a_model_of_scikit_learn():
    fitted = DummyClassifier().fit([[0], [1]], [0, 1])

    def helped(x):
        return x * len(DummyClassifier().fit([[0]], [1]).predict([[0]]))

    declare(lambda x: x, VECTORS, no_models())
    assert "`fitted` is a model of the notebook" in verdict("7.1", lambda x: x * len(fitted.predict([[0]])))
    assert "`DummyClassifier` is a model of the notebook" in verdict("7.1", lambda x: helped(x))
