const show = async () => {
  const answer = await fetch(new URL("statistics", document.baseURI))
  document.getElementById('feed').textContent = JSON.stringify(await answer.json(), null, 2)
}
show()
