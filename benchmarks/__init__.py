"""How fast callpacer is, beside what it could be at best on the same machine at the same time.

Nothing here passes or fails: machines differ, and so a figure means something only beside another of the same run. All
load goes to 127.0.0.1, is bounded in number and time, and stops by itself.

| benchmark | is about |
|---|---|
| `uploads` | reading of uploads, beside the csv module alone |
| `gateway` | calls through the gateway, beside bare aiohttp with a new connection each |
| `pacer` | a tick of the pacer, beside the same requests to SQS alone |
| `requests` | requests to DynamoDB and SQS for each call |
| `processor` | microseconds of pacer and dialer for each call, over a simulated database |
| `lateness` | how late calls go out on the local stack, and how evenly |
"""
