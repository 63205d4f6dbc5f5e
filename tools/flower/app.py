"""The two apps of lesson 17's federation: what a client does with its own articles, and what the server does.

Runs in Flower's environment, which has NumPy and no PyTorch. `federation.py` starts everything.
"""

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

INPUTS, TOPICS = 1000, 5
client = ClientApp()
server = ServerApp()


def train_at_home(weight, bias, x, y, epochs, rate):
    """Full-batch steps of softmax regression on these rows: the new (weight, bias), float32.

    `weight` is (topics, inputs), `bias` (topics,), `x` (rows, inputs), `y` (rows,).
    """
    weight, bias, x = weight.astype(np.float64), bias.astype(np.float64), x.astype(np.float64)
    wanted = np.eye(len(bias))[y]
    for _ in range(epochs):
        logits = x @ weight.T + bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (powers / powers.sum(axis=1, keepdims=True) - wanted) / len(x)
        weight, bias = weight - rate * error.T @ x, bias - rate * error.sum(axis=0)
    return weight.astype(np.float32), bias.astype(np.float32)


@client.train()
def train(message: Message, context: Context) -> Message:
    """One client's round: only the file that its own node was started with is read."""
    own = np.load(context.node_config["articles"], allow_pickle=False)
    told = message.content["config"]
    weight, bias = message.content["arrays"].to_numpy_ndarrays()
    new = train_at_home(weight, bias, own["x"], own["y"], told["epochs"], told["rate"])
    answer = {"arrays": ArrayRecord(list(new)), "metrics": MetricRecord({"num-examples": len(own["y"])})}
    return Message(content=RecordDict(answer), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """FedAvg over both clients; the final weights go into the file `result`."""
    told = context.run_config
    zeros = [np.zeros((TOPICS, INPUTS), np.float32), np.zeros(TOPICS, np.float32)]
    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
    found = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(zeros),
        num_rounds=told["rounds"],
        train_config=ConfigRecord({"epochs": told["epochs"], "rate": told["rate"]}),
    )
    weight, bias = found.arrays.to_numpy_ndarrays()
    np.savez(told["result"], weight=weight, bias=bias)
