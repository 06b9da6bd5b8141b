//! OTP supervision on ractor: child specs, restart policies, intensity, backoff, quarantine.
