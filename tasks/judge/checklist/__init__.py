"""Judging by a checklist: yes/no items for each prompt, decided by checkers where they can be, else by a judge."""
