# serves y = 2 x
cat >double.mjs <<'JS'
import * as sm from '@shumai/shumai'
sm.io.serve({ forward: (user, x) => x.mul(2) }, { port: 3000 })
JS
node double.mjs
