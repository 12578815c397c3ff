"""Made-up sentences of three kinds, all different: what text is demonstrated and tested with."""

import random

_SENTENCES = {
    "weather": (
        ["rain", "snow", "fog", "a storm", "sunshine", "hail", "wind", "frost"],
        ["expected in the north", "over the hills tonight", "by the coast", "until Friday"],
        ["will it stay", "bring a coat", "the forecast says", "the sky shows"],
    ),
    "food": (
        ["soup", "bread", "pasta", "an apple pie", "rice", "cheese", "a salad", "noodles"],
        ["with butter and salt", "from the oven", "for dinner", "in a hot pan"],
        ["please cook", "the recipe needs", "we ate", "the chef served"],
    ),
    "sport": (
        [
            "the match",
            "a goal",
            "the race",
            "tennis",
            "the league",
            "a penalty",
            "training",
            "rugby",
        ],
        ["in the last minute", "before the final whistle", "at the stadium", "this season"],
        ["the team won", "fans cheered", "the coach planned", "players love"],
    ),
}


def labelled_texts(per_class: int, seed: int = 0) -> list[tuple[str, str]]:
    """Pairs of text and label, in mixed order."""
    generator = random.Random(seed)  # noqa: S311 - nothing secret
    rows = []
    for label, (things, places, starts) in _SENTENCES.items():
        made: dict[str, None] = {}
        while len(made) < per_class:
            words = [generator.choice(part) for part in (starts, things, places)]
            note = generator.choice(
                ["", "now", "again", "today", "indeed", "they say", "of course"]
            )
            who = generator.choice(["Ann", "Bob", "Carla", "Dev", "Eve", "Finn", "Gil", "Hana"])
            made[" ".join([who, "said:", *words, note]).strip()] = None
        rows += [(text, label) for text in made]
    generator.shuffle(rows)
    return rows
