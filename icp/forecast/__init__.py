"""What a run would take, from rates measured on this machine: time, memory, disk, network, files."""
