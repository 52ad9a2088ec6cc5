"""A user's own Python next to the recipe, and the registries that hold it and ours."""
