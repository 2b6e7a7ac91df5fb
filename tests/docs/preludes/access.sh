mkdir -p etc/shumai
echo "trainer a.secret.of.a.file.1234" >etc/shumai/tokens && chmod 600 etc/shumai/tokens
