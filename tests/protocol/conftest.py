from hypothesis import settings

# Hypothesis fails an example that takes longer than 200 ms, which says more about the machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
