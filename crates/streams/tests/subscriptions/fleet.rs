//! Many subscriptions, many streams, many accidents.
