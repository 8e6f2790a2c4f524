"""What people may ask for about their own data: consents, an export, erasure with its proof, and what was audited."""
