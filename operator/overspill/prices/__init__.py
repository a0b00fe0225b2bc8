"""What models cost at their providers: a dated table, and policies filled in from it."""
