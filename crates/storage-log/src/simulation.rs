//! The engine on a simulated disk, with power losses at any call and faults of every kind.
