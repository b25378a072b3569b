"""What the device daemon and the relay share. It knows neither of them."""
