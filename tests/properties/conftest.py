"""How many examples are tried: few in every run of the tests, many with ``--hypothesis-profile``.

The examples are the same in every run of ``few``, so that a build does not fail by chance.
"""

from __future__ import annotations

from hypothesis import Phase, settings

# Shrinking an example takes minutes: it is left to the search for many.
_QUICK = (Phase.explicit, Phase.generate)
settings.register_profile(
    "few", max_examples=30, deadline=None, derandomize=True, database=None, phases=_QUICK
)
settings.register_profile("many", max_examples=2000, deadline=None, database=None)
settings.load_profile("few")
