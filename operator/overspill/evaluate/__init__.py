"""`overspill evaluate`: what the score is worth on graded examples."""
