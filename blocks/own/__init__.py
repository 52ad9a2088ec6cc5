"""A user's own Python beside the recipe, and the registries in which it stands beside ours."""
