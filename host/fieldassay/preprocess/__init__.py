"""Steps that change intensities or put them on another grid, and the recipes that order them."""
