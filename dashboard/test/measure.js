/** What a page holds, after its garbage is gone: bytes, nodes of documents, and listeners. `session` is of the DevTools protocol. */
export async function measure(session) {
  await session.send('Performance.enable')
  for (let i = 0; i < 3; ++i) await session.send('HeapProfiler.collectGarbage')
  const { metrics } = await session.send('Performance.getMetrics')
  const of = (name) => metrics.find((metric) => metric.name === name).value
  return { heap: of('JSHeapUsedSize'), nodes: of('Nodes'), listeners: of('JSEventListeners') }
}
