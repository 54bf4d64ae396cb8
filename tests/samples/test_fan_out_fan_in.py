import pytest

from support.host_process import HostProcess


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("fan_out_fan_in")


@pytest.mark.parametrize("count", [0, 1, 300])
def test_all_orders_are_priced_and_added_up(host, count):
    orders = [{"quantity": number, "unit_price": 10} for number in range(count)]

    status = host.completed(host.start_instance("/api/totals", orders))

    assert status["output"] == {"orders": count, "total": sum(range(count)) * 10}
    assert status["input"] == orders
