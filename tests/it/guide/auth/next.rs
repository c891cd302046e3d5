//! The page's application of Next.js: its route handler answers, and its component holds.

use serde_json::json;

use super::{block, guarded, proves};
use crate::guide::frontend::{node, typescript_with};
use crate::guide::tools::ended;
use crate::harness::token::SECRET;

#[tokio::test]
async fn the_route_gives_a_token_to_whoever_is_signed_in() {
    let scene = guarded(&[]).await;
    let session = "export let signedIn = { is: true };\n\
        export const currentUser = async () => (signedIn.is ? { id: 'user-7', contactIds: ['42'] } : null);\n";
    let driver = "import { POST } from './app/api/realtime-token/route.js';\n\
        import { signedIn } from './lib/session.js';\n\
        console.log(await (await POST()).text());\n\
        signedIn.is = false;\n\
        console.log((await POST()).status);\n";
    // Plain Node knows no `@/`.
    let route = block("Next.js", "ts").replace("@/lib/", "../../../lib/");
    let route = route.replace("realtime-token\"", "realtime-token.js\"");
    let files = [
        ("lib/realtime-token.js", block("Node", "js")),
        ("lib/session.ts", session.to_owned()),
        (
            "app/api/realtime-token/route.ts",
            route.replace("session\"", "session.js\""),
        ),
        ("app/conversation.tsx", block("Next.js", "tsx")),
        ("driver.ts", driver.to_owned()),
    ];
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let options = json!({ "allowJs": true, "checkJs": true, "outDir": "built" });
    let folder = typescript_with(&files, &options).await;
    let mut run = node(&folder, "built/driver.js");
    run.env("ROWCAST_JWT_SECRET", SECRET);
    let said = ended(run).await.expect("it runs");
    let (token, refused) = said.trim().split_once('\n').expect("two lines");
    assert_eq!(refused, "401");
    proves(&scene, token).await;
}
