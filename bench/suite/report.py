"""The table, a line at a time."""


def figure(value, unit):
    if value is None:
        return '-'
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f'{value:,.{digits}f} {unit}'


def ratio_of(line):
    """How many times as good as the peer; None without one."""
    if not line['value'] or not line['peer_value']:
        return None
    ratio = line['value'] / line['peer_value']
    return ratio if line['higher_is_better'] else 1 / ratio


def verdict_of(result, ratio):
    target, limit, value = result['target'], result['limit'], result['json']['value']
    if target is not None:
        met = 'not measured' if ratio is None else 'met' if ratio >= target else 'not met'
        return f'target {target:.3g}x  {met}'
    if limit is not None:
        met = 'not measured' if value is None else 'met' if value <= limit else 'not met'
        return f'at most {limit:g} {result["json"]["unit"]}  {met}'
    return ''


def show(result):
    line = result['json']
    ratio = ratio_of(line)
    verdict = verdict_of(result, ratio)
    peer = f'{figure(line["peer_value"], line["unit"]):>15} {line["peer"]:<16}' if line['peer'] else ''
    times = '' if ratio is None else f'{ratio:.2f}x'
    print(f'{line["name"]:<52} {figure(line["value"], line["unit"]):>15} {peer:<32} {times:>8}  {verdict}'.rstrip(),
          flush=True)
