"""How a long step is done without losing anything: shards, watched processes, engines, run folders."""
