"""What the page's words mean: on hover and keyboard focus where they stand, and as a list at its end and in print."""

from __future__ import annotations

from markupsafe import Markup

DEFINITIONS = {
    "extra": (
        "extra",
        "What happened above what would have happened without contact. It is measured against people who were held out "
        "at random.",
    ),
    "sure": (
        "95 % sure",
        "A range made in this way holds the true figure in 95 of 100 experiments. A wide range means too few people.",
    ),
    "told_apart": (
        "told from chance",
        "Whether this can be told from no effect, allowing for the other arms and, beyond the main figure, for the "
        "other figures too: the chance that anything is called so in an experiment without effects is 5 %.",
    ),
    "by_chance": (
        "by chance alone",
        "If contact did nothing at all, differences at least this large would come about in so many experiments, "
        "allowing for all arms that are compared.",
    ),
    "expected": (
        "to expect",
        "What to expect when you choose this arm because it looks best: the measured figure drawn towards the other "
        "arms', because the best of several is in part the luckiest.",
    ),
    "unadjusted": ("as counted", "The plain difference, without allowing for what was known of people before."),
    "holdout": (
        "held out",
        "People who could have been contacted and were not, drawn at random, so that the effect can be measured.",
    ),
    "planned": ("planned", "How many people the arm should have by the chances with which people were drawn."),
    "window": ("window", "The days after a decision in which what a person does counts for it."),
    "net_value": (
        "net value",
        "The margin on the extra revenue, less the cost of sending, of redeemed offers and of unsubscribes.",
    ),
    "policy": ("policy", "A rule that says who gets what."),
    "unseen": (
        "people whom no training saw",
        "They were kept apart when the model learnt, so that it can be judged by them.",
    ),
    "tolerated": (
        "tolerated",
        "The most that this event may become more frequent with contact: as the experiment's playbook says, under "
        "guardrails.",
    ),
    "band": (
        "band",
        "Unlike an ordinary interval it may be looked at every day: the chance that it ever misses the true effect is "
        "5 %.",
    ),
    "best_order": (
        "best buys first",
        "Each contact is bought in the order of the value that the model predicts for what it costs.",
    ),
    "at_random": (
        "at random",
        "The same people and actions in an order by lot: what a list without a model brings for the same effort.",
    ),
    "qini": (
        "Qini",
        "How much more is gained by contacting the most promising people first than by contacting as many at random, "
        "averaged over all shares of people from none to all. 0: no better than at random. The Qini curve shows it for "
        "each share.",
    ),
}
"""By key: the word, and what it means."""


class Glossary:
    """Makes words with their meanings, and remembers which a page used.

    A tip is shown by the style sheet alone, so that it needs no JavaScript. On paper there are none, only the list.
    """

    def __init__(self, paper: bool = False) -> None:
        self._paper = paper
        self._used: dict[str, str] = {}
        self._tips = 0

    def term(self, key: str, shown: str = "") -> Markup:
        """A word of `DEFINITIONS`, perhaps shown in another form."""
        word, meaning = DEFINITIONS[key]
        return self._tip(shown or word, word, meaning)

    def define(self, word: str, meaning: str) -> Markup:
        """A word whose meaning comes with the data; a plain word where it has none."""
        return self._tip(word, word, meaning) if meaning else Markup("{}").format(word)

    @property
    def entries(self) -> list[tuple[str, str]]:
        """Words used so far with their meanings, in alphabetical order."""
        return sorted(self._used.items(), key=lambda entry: entry[0].lower())

    def _tip(self, shown: str, word: str, meaning: str) -> Markup:
        if word.lower() not in map(str.lower, self._used):
            self._used[word] = meaning
        if self._paper:
            return Markup("{}").format(shown)
        self._tips += 1
        return Markup(
            '<span class="term"><button type="button" aria-describedby="tip-{n}">{shown}</button>'
            '<span class="tip" role="tooltip" id="tip-{n}">{meaning}</span></span>'
        ).format(n=self._tips, shown=shown, meaning=meaning)
