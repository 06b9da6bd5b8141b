//! Durable streams as supervised actors: the actor system and the embedding API.
