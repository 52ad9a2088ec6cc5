"""Does a model suit Magpie? Some hundred samples, the figures behind a verdict, and what to try."""
