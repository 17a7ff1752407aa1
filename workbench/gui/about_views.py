"""What each view shows, in a sentence, by its title."""

ABOUT = {
    "Models": "The policy that learns, the reward model that scores, and what they take of memory.",
    "Prompts": "The prompts that a run completes, which of them are used, and which are compared "
               "cycle by cycle.",
    "Runs": "All runs as a tree of forks: resume, fork, go back, compare, delete.",
    "Metrics": "The numbers of a run over its cycles, one plot each, with other runs drawn over "
               "them.",
    "Completions": "What the policy wrote, before and after, with rewards and KL.",
    "Hyperparameters": "The settings of the next run, and of the run that is alive.",
    "Try": "Prompts of your own, completed by the policy as it is now or was.",
    "Tokens": "A completion token by token: chances, estimates, advantages.",
    "Objective": "The terms of the loss, what each gave to it, and the trust region.",
    "Paths": "The ways on from a token: what else the policy might have written there; and the "
             "completions of one prompt side by side.",
    "Guide": "What happens in a cycle and what for, card by card with the run.",
    "Distributions": "How the numbers of all tokens or completions are spread, cycle by cycle.",
    "Chances": "The chance of every next token at a place, and as another temperature would have "
               "it.",
    "Frontier": "How much reward for how much KL, samples, steps or time, run against run and "
                "against the best of n.",
    "Judge": "Two completions side by side, for you to say which is better, and what your marks "
             "teach.",
}
