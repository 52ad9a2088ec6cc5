"""Mix: the pairs of several finished runs become one dataset, with shares and without a model call."""
