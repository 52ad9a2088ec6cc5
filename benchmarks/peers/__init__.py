"""The same job on the same simulated server, done in turn by kasasagi and by what else there is for it."""
