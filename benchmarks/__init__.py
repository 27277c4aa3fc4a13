"""How fast callpacer is, compared with the least work that could do the same on the same machine at the same time.

These benchmarks don't pass or fail: machines differ, so a figure means something only beside another of the same run.
All load goes to 127.0.0.1, is bounded in number and time, and stops by itself.

| benchmark | measures |
|---|---|
| `uploads` | reading of uploads, compared with the csv module alone |
| `bodies` | how long the worst request bodies take until they are read or refused |
| `gateway` | calls through the gateway, compared with bare aiohttp and a new connection for each call |
| `pacer` | a tick of the pacer, compared with the same requests to SQS alone |
| `requests` | requests to DynamoDB and SQS for each call |
| `processor` | microseconds of pacer and dialer for each call, over a simulated database |
| `lateness` | how late calls start on the local deployment, and how evenly |
| `overload` | how many calls the local deployment makes if more are due than it can make |

Two more have commands of their own: `benchmarks.coldstart`, which has a limit, and `benchmarks.cost`.
"""
