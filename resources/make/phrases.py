"""Phrases that fit any domain, each with what it says from -1 (very bad) to 1 (very good).

Slots: {t} the thing, {it}/{them} its pronouns, {is} the verb, {n} an aspect, {np} an aspect
with an adjective, {c} a clause, {need}, {people}, {again}, {best}, {answer}, {waste}.
"""

from __future__ import annotations

from lexicon import Graded

g = Graded

# --- degree -----------------------------------------------------------------------------------
STRONGER = (("very", 1.2), ("really", 1.15), ("remarkably", 1.2), ("truly", 1.2))
WEAKER = (("quite", 0.85), ("rather", 0.85), ("fairly", 0.75))
BAD_ONLY = (("a little", 0.6), ("a bit", 0.6), ("far too", 1.25), ("too", 1.05), ("terribly", 1.3))
GOOD_ONLY = (("surprisingly", 1.1), ("wonderfully", 1.3), ("pleasingly", 1.0), ("unusually", 1.1))
EXTREME = (("absolutely", 1.05), ("simply", 1.0), ("truly", 1.05), ("quite simply", 1.0))

# What is left of an adjective's value, by the sign it had before it was denied.
DENY_GOOD = (
    ("not {a} at all", -0.9), ("far from {a}", -0.8), ("hardly {a}", -0.75),
    ("not exactly {a}", -0.6), ("anything but {a}", -1.0), ("never {a}", -0.8),
    ("nowhere near {a} enough", -0.9), ("not as {a} as I had hoped", -0.5),
    ("less {a} than the pictures suggested", -0.5),
)
DENY_BAD = (
    ("not {a} at all", -0.6), ("far from {a}", -0.6), ("not in the least {a}", -0.65),
    ("anything but {a}", -0.9), ("never {a}", -0.7), ("not as {a} as I had feared", -0.4),
    ("less {a} than people say", -0.3), ("hardly ever {a}", -0.5),
)
# Words that name a state, not a degree: "very torn" is wrong.
NO_DEGREE = frozenset({
    "broken", "missing", "torn", "wrong", "locked", "half empty", "endless", "constant", "silent",
    "undrinkable", "inedible", "invented", "unprepared", "deafening", "inaudible", "complete",
    "instant", "good value", "well chosen", "well planned", "overpriced", "burnt", "crooked",
    "enormous", "overlong", "lukewarm", "tiny", "huge", "gorgeous", "stunning",
    "delicious", "excellent", "breathtaking", "decent", "knowledgeable", "faultless", "flawless",
    "perfect", "basic", "ordinary", "adequate", "acceptable", "watchable", "open", "late",
    "wooden", "absurd", "unforgettable", "fun", "hilarious", "scalded", "warped", "magical",
    "splendid", "fascinating", "spotless", "filthy", "freezing", "useless", "hopeless", "short",
    "outrageous", "maddening", "agonising", "infuriating", "ridiculous", "ludicrous", "deadly",
    "original", "supple", "cushioned", "tasteless", "overcooked", "smudged", "cracked", "drunk",
})

# --- clauses about one aspect --------------------------------------------------------------------
ABOUT_ASPECT = (
    g("I loved {n}", 0.75), g("we both liked {n}", 0.55), g("I could find no fault with {n}", 0.65),
    g("I have nothing but praise for {n}", 0.9), g("I was never once disappointed by {n}", 0.6),
    g("I had no complaints about {n}", 0.4), g("there was nothing wrong with {n}", 0.25),
    g("{n} exceeded all my hopes", 0.8), g("{n} could not have been better", 0.9),
    g("I was pleasantly surprised by {n}", 0.55), g("{n} made up for a great deal", 0.3),
    g("it is hard to fault {n}", 0.5), g("I would happily pay extra for {n}", 0.6),
    g("{n} {be} fine, no more than that", 0.1), g("I have mixed feelings about {n}", -0.1),
    g("I have no strong feelings about {n}", 0.0), g("{n} took some getting used to", -0.15),
    g("I was not impressed by {n}", -0.5), g("{n} left a lot to be desired", -0.6),
    g("I could not stand {n}", -0.8), g("I was let down by {n}", -0.6),
    g("{n} could not have been worse", -0.95), g("there is little to say for {n}", -0.5),
    g("I lost patience with {n}", -0.55), g("{n} fell short of my hopes", -0.45),
    g("I have nothing good to say about {n}", -0.85), g("I hated {n}", -0.85),
    g("{n} spoiled everything else", -0.75), g("I expected more from {n}", -0.4),
    g("nobody could call {n} a success", -0.6), g("I cannot praise {n} highly enough", 0.95),
)
COMPARED = (
    g("{n} {be} far better than I had expected", 0.65), g("{n} {be} better than most", 0.45),
    g("{n} {be} as good as people say", 0.6), g("{n} {be} no worse than anywhere else", 0.05),
    g("{n} {be} worse than I had feared", -0.65), g("{n} {be} not worth the fuss", -0.5),
    g("{n} {be} a real delight", 0.75), g("{n} {be} a bitter disappointment", -0.75),
    g("{n} {be} the high point", 0.65), g("{n} {be} the low point", -0.6),
    g("{n} {be} a pleasant surprise", 0.5), g("{n} {be} an insult", -0.85),
    g("{n} {be} nothing special", -0.2), g("{n} {be} not bad at all", 0.3),
    g("{n} {be} a joke", -0.7), g("{n} {be} worth every penny", 0.75),
)
POINTED = (
    g("what {like} best {be} {np}", 0.6), g("the best thing about {t} {be} {np}", 0.6),
    g("what {impress} me most {be} {np}", 0.65), g("what won me over {be} {np}", 0.65),
    g("I would choose {them} again for {np} alone", 0.75),
    g("what {annoy} me most {be} {np}", -0.6), g("the worst thing about {t} {be} {np}", -0.65),
    g("what {let} {t} down {be} {np}", -0.5), g("what put me off {be} {np}", -0.6),
)

# --- clauses about the whole thing ---------------------------------------------------------------
WHOLE = (
    g("{it} {is} the best {best} for years", 0.9), g("{it} {is} among the best {best}", 0.75),
    g("{it} {is} easily the worst {best}", -0.95), g("{it} {is} among the worst {best}", -0.8),
    g("I enjoyed every minute of {them}", 0.8), g("I have no regrets about {them}", 0.4),
    g("I cannot think of a better choice", 0.75), g("{it} did what {it} promised", 0.35),
    g("{it} {is} good enough", 0.15), g("{it} {is} neither good nor bad", -0.05),
    g("{it} {is} nothing to write home about", -0.25), g("I had hoped for more", -0.35),
    g("I regret the money I spent", -0.65), g("{it} {is} {waste}", -0.8),
    g("I cannot think of one good thing to say", -0.9), g("it was a mistake from the start", -0.75),
    g("{it} {is} hardly worth the money", -0.5), g("{it} {is} worth every penny", 0.75),
    g("I have seen worse, but not often", -0.65), g("you could do a lot worse", 0.3),
    g("you could easily do better", -0.4), g("{it} won me over completely", 0.75),
)
TAILS = (
    g("which was a pleasant surprise", 0.45), g("which made my day", 0.7),
    g("which I had not expected at that price", 0.35), g("which is rare these days", 0.4),
    g("which made up for everything else", 0.5), g("which made all the difference", 0.6),
    g("which was a shame", -0.35), g("which spoiled my mood", -0.6),
    g("which is hard to forgive", -0.7), g("which should never happen", -0.7),
    g("which made me wish I had stayed at home", -0.65), g("which was a nuisance", -0.4),
)
# What an adjective was so strong as to bring about.
SO_GOOD = ("I told everyone at work", "I could hardly believe it", "I wrote to thank them",
           "I forgot all my doubts", "I have been smiling ever since",
           "I took back every complaint")
SO_BAD = ("I nearly gave up", "I asked for my money back", "I wrote a letter of complaint",
          "we could only laugh", "I am still annoyed", "I lost my divide_by_temperature")
SUMS = (
    g("everything {be} a delight", 0.85), g("everything {be} just right", 0.8),
    g("everything {be} done with care", 0.7), g("it {be} all better than I had hoped", 0.65),
    g("everything {be} in order", 0.35), g("it {be} all rather average", -0.05),
    g("everything {be} a little worse than it should be", -0.4),
    g("it {be} all a mess", -0.7), g("everything {be} a disappointment", -0.75),
    g("nothing {be} as it should be", -0.65), g("everything {be} done badly", -0.8),
)
CIRCUMSTANCES = (
    "last spring", "two years ago", "with my sister", "on a whim", "for the second time",
    "at short notice", "with low expectations", "on the advice of a colleague", "last week",
    "with an old friend", "not long ago", "with some doubts", "for a change", "in late autumn",
    "just before my birthday",
)
TENTHS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
HOPES_LOW = ("I had feared the worst", "I did not expect much", "I had my doubts",
             "I had read some bad reviews", "my friends had warned me", "I nearly changed my mind")
HOPES_HIGH = ("I had high hopes", "I had expected a treat", "I wanted to like {them}",
              "I had read so much praise", "my friends had raved about {them}",
              "I had been looking forward to {them}")
OTHERS = ("my sister", "my brother", "my wife", "my husband", "my mother", "my father",
          "a friend of mine", "my neighbour", "my daughter", "a colleague")
OTHERS_FELT = (
    g("loved {x}", 0.7), g("liked {x} well enough", 0.3), g("was delighted with {x}", 0.75),
    g("was not so sure about {x}", -0.25), g("hated {x}", -0.8), g("could not fault {x}", 0.5),
    g("had no time for {x}", -0.55), g("was disappointed by {x}", -0.5),
)

# --- verdicts ----------------------------------------------------------------------------------
VERDICTS = (
    g("I would gladly {again}", 0.65), g("I cannot wait to {again}", 0.85),
    g("I shall certainly {again}", 0.7), g("I would {again} without a second thought", 0.75),
    g("I might {again} one day", 0.15), g("I would think twice before I {again}", -0.4),
    g("I will not {again}", -0.6), g("nothing would make me {again}", -0.9),
    g("I doubt that I will {again}", -0.45), g("I would not {again} if you paid me", -0.85),
    g("I recommend {them} to {people}", 0.6), g("I warmly recommend {them} to {people}", 0.75),
    g("I would not recommend {them} to {people}", -0.6), g("{people} should stay away", -0.65),
    g("{people} will love {them}", 0.65), g("{people} will be disappointed", -0.55),
    g("{them_} might suit {people}, but not me", -0.3),
    g("I would recommend {them} to anyone", 0.75),
    g("I have already told my friends to try {them}", 0.75),
    g("I have already warned my friends", -0.7), g("I cannot recommend {them}", -0.55),
    g("if you want {need}, {answer}", 0.7), g("if you want {need}, look elsewhere", -0.6),
    g("save your money", -0.75), g("do not make the same mistake", -0.7),
    g("I want my money back", -0.75), g("I am glad that I tried {them}", 0.5),
    g("I wish that I had chosen something else", -0.6), g("I would not change a thing", 0.85),
    g("I am still not sure what to think", -0.05), g("I am in no hurry to {again}", -0.25),
    g("I neither regret {them} nor recommend {them}", -0.05), g("opinions will differ", 0.0),
    g("there are better ones and worse ones", 0.0), g("I can see both sides", 0.0),
    g("I would {again}, though not at that price", 0.1), g("I can live with that", 0.15),
    g("{people} may like {them} more than I did", -0.1), g("a second try could go either way", 0.0),
    g("I would {again} if there were nothing else", -0.2), g("I am fairly content", 0.3),
    g("I may give {them} another chance", 0.1), g("I am a little disappointed", -0.35),
    g("{it} {deserve} three stars and no more", 0.0),
    g("{it} {deserve} all five stars", 0.9), g("{it} {deserve} one star at most", -0.8),
    g("{it} {deserve} a solid four stars", 0.5), g("{it} {deserve} two stars at best", -0.5),
)

# --- the joints between sentences ----------------------------------------------------------------
SAME = ("besides,", "on top of that,", "what is more,", "better still,")
SAME_BAD = ("besides,", "on top of that,", "to make things worse,", "worse still,")
CONTRAST = ("still,", "even so,", "all the same,", "that said,", "but", "then again,", "however,")
CLOSING = ("all in all,", "in the end,", "in short,", "on the whole,", "so", "looking back,")
FRANK = ("honestly,", "to be honest,", "I must say that", "frankly,", "to be fair,")
GLAD = ("luckily,", "happily,", "to my delight,", "to my surprise,")
SORRY = ("sadly,", "unfortunately,", "to my dismay,", "I am sorry to say that")
