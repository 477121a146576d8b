"""Long steps that lose nothing: shards, watched processes, engines, run folders."""
