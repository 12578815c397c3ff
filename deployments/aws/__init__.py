"""The system on an AWS account: `exemplar deploy` and `exemplar destroy`."""
