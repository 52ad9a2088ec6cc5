"""The stages: their configuration, their pure functions, their work."""

if __name__ != "kasasagi.tasks":
    raise ImportError(
        "'tasks' is now 'kasasagi.tasks': import it by that name, e.g. `from kasasagi.tasks.asking import ask`"
    )
