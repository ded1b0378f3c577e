from fieldassay_sim.cli import main

raise SystemExit(main())
