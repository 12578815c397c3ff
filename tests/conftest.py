"""What all tests share. Fixtures that start servers live beside the tests that need them."""
