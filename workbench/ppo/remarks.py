"""What is worth saying of settings that are allowed, when a run begins with them. No torch."""

from __future__ import annotations

from workbench.ppo.hyperparameters import Hyperparameters, specs


def remarks(hp: Hyperparameters, *, own_head: bool) -> list[str]:
    """Return a sentence for each thing that a run with ``hp`` does and nobody may expect.

    Args:
        own_head: the policy brings a value head for the reward it is trained with.
    """
    return [said for said in (
        _kl_price(hp), *((_values_begin_at_zero(hp) if own_head else "", _values_learn_nothing(hp))
                         if hp.has_values else ()),
    ) if said]


def remarks_on_change(old: Hyperparameters, new: Hyperparameters) -> list[str]:
    """Return a sentence for each thing that a change from ``old`` to ``new`` during a run does and
    nobody may expect."""
    before = remarks(old, own_head=False)
    return [said for said in (_another_scale(old, new), *(
        said for said in remarks(new, own_head=False) if said not in before)) if said]


def other_scale(hp: Hyperparameters) -> list[str]:
    """Return the settings by which returns are on another scale than the score itself.

    Normalised, clipped or whitened they are on one that is known only after the first batch.
    """
    off = {"normalize_scores": not hp.normalize_scores, "score_clip": not hp.score_clip,
           "whiten_rewards": not hp.whiten_rewards, "gamma": hp.gamma == 1}
    return [name for name, unused in off.items() if not unused]


def _kl_price(hp: Hyperparameters) -> str:
    """In the reward the gradient is that of E[estimate · log π], the estimate taken as a constant:
    only k1's is the KL's. In a loss k3's is the gradient of KL(start || policy), which has its
    optimum elsewhere. Tang and Munos 2025 (arXiv:2506.09477)."""
    if hp.kl_coef == 0 or hp.kl_estimator == "k1":
        return ""
    if hp.kl_in == "reward":
        return (f"With KL estimator {hp.kl_estimator} in the reward a token is charged whichever "
                "way it has moved, which does not hold the policy near its start; k1 does.")
    return ("With KL estimator k3 in the loss the policy learns another trade of reward and KL "
            "than the KL itself gives; k1 and k2 give that one."
            if hp.kl_estimator == "k3" else "")


def _another_scale(old: Hyperparameters, new: Hyperparameters) -> str:
    changed = old.differences(new)
    names = [name for name in ("normalize_scores", "score_clip", "whiten_rewards", "gamma")
             if name in changed]
    if not names or not new.has_values:
        return ""
    labels = " and ".join(specs()[name].label for name in names)
    return (f"With {labels} changed during a run returns are on another scale than the one that "
            "values have learned, so values mislead until they have learned it anew; a fork from "
            "the start with this change has one scale throughout.")


def _values_learn_nothing(hp: Hyperparameters) -> str:
    if hp.vf_coef or hp.num_value_epochs:
        return ""
    return ("With a value coefficient c₁ (vf_coef) of 0 and no value epochs values learn nothing "
            "during the run.")


def _values_begin_at_zero(hp: Hyperparameters) -> str:
    names = " and ".join(specs()[name].label for name in other_scale(hp))
    if not names or hp.value_pretraining_episodes or hp.value_model != "shared":
        return ""
    return (f"With {names} returns are on another scale than the policy's own value head foresees, "
            "so values begin at zero: a value coefficient c₁ (vf_coef) of 0.1 suits that, and "
            "Value pretraining gives values that mean something from the start.")
