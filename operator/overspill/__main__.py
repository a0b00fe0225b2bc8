"""`python -m overspill` is the `overspill` command."""

from overspill.cli import main

raise SystemExit(main())
