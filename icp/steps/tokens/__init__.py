"""The step `tokens`: token ids of the nodes' documents."""
