"""How expectations are evaluated: on what rows, by which library, in which process, and what was judged before."""
