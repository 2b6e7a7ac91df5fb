// js_reference.mjs ROOT OUT: the reference of JavaScript, a page for each part of the package, made of its declarations.
// Prints, a line each, what is exported without a comment.
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const [root, out] = process.argv.slice(2)
const ts = createRequire(path.join(root, 'js', 'package.json'))('typescript')
const entry = path.join(root, 'js', 'index.d.ts')
const program = ts.createProgram([entry], {
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: ['node'],
  typeRoots: [path.join(root, 'js', 'node_modules', '@types')],
})
const checker = program.getTypeChecker()
const resolve = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)
const undocumented = []

/** [the declaration's text without `export declare`, its comment] */
function describe(declaration) {
  const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
  const text = node.getText().replace(/^export /, '').replace(/^declare /, '')
  const comment = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).map((each) => ts.getTextOfJSDocComment(each.comment) ?? '').join('\n')
  return [text, comment]
}

/** The heading, comment and declarations of one name. */
function section(name, symbol) {
  const described = symbol.declarations.map(describe)
  const comments = described.map(([, comment]) => comment).filter(Boolean)
  const file = path.relative(path.join(root, 'js'), symbol.declarations[0].getSourceFile().fileName)
  if (comments.length === 0 && !/Options$/.test(name)) undocumented.push(`js/${file}: ${name}`)
  return `## ${name}\n\n${comments.join('\n\n')}\n\n\`\`\`ts\n${described.map(([text]) => text).join('\n')}\n\`\`\`\n`
}

function page(file, title, introduction, symbols) {
  const sections = symbols.map(([name, symbol]) => section(name, symbol))
  writeFileSync(path.join(out, `${file}.md`), `# ${title}\n\n${introduction}\n\n${sections.join('\n')}`)
}

const exported = (symbol) => checker.getExportsOfModule(symbol).map((each) => [each.name, resolve(each)])
const isPart = ([, symbol]) => Boolean(symbol.flags & ts.SymbolFlags.ValueModule)
const fileOf = ([, symbol]) => path.basename(symbol.declarations[0].getSourceFile().fileName)

mkdirSync(out, { recursive: true })
const all = exported(checker.getSymbolAtLocation(program.getSourceFile(entry)))
const own = all.filter((each) => !isPart(each))
const operations = own.filter((each) => ['ops.d.ts', 'forms.d.ts', 'indexing.d.ts'].includes(fileOf(each)) && each[0] !== 'TensorOps')
page('operations', 'sm: operations', 'Functions of `sm` that are operations; most are methods of tensors as well. [Operations](../../ops.md) is a table of them.', operations)
page('sm', 'sm', "`import * as sm from '@shumai/shumai'`", own.filter((each) => !operations.includes(each)))
const parts = all.filter(isPart).filter(([name]) => name !== 'network')
for (const [name, symbol] of parts) page(name, `sm.${name}`, name === 'io' ? '`sm.network` is the same.' : '', exported(symbol))

const names = (symbols) => symbols.map(([name]) => `\`${name}\``).join(' ')
writeFileSync(path.join(out, 'index.md'), `# JavaScript

Made from the package's declarations, by \`./dev docs\`; [the package](../../javascript.md) says how it is used.

| part | declares |
| --- | --- |
| [sm](sm.md) | ${names(own.filter((each) => !operations.includes(each)))} |
| [operations](operations.md) | ${names(operations.slice(0, 24))} and ${operations.length - 24} more |
${parts.map(([name, symbol]) => `| [sm.${name}](${name}.md) | ${names(exported(symbol))} |`).join('\n')}
`)
console.log(undocumented.join('\n'))
